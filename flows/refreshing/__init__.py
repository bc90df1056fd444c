"""What thin events leave out is asked of the provider, and each page of the answer becomes a delivery.

RequestRefresh on the bus ─ follower (a group of its own) ─ a row in fetch_jobs, with the offsets in one transaction ─
fetcher, under a lease ─ a page at a time: asked for, stored and interpreted as a delivery, then the job moves on

Nothing of it is imported before a connection has a provider whose file says `fetch`.
"""
