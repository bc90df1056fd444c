"""What is made of views and events beside them: the copy in Redis, the search index, likely duplicates."""
