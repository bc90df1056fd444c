-- Sends each line of a file of pre-signed requests once: "<signature>\t<body>". Wraps round at the end.
-- BENCH_PAUSE is a pause in milliseconds before each request, so that the rate stays below the most possible.
local lines, at = {}, 0
local pause = tonumber(os.getenv("BENCH_PAUSE") or "0")

function init(args)
  for line in io.lines(args[1]) do lines[#lines + 1] = line end
end

if pause > 0 then
  -- Spread evenly about the mean, so that the connections do not send all at once.
  function delay() return math.random(0, 2 * pause) end
end

function request()
  at = at % #lines + 1
  local tab = lines[at]:find("\t", 1, true)
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["X-Signature"] = lines[at]:sub(1, tab - 1)
  return wrk.format("POST", nil, nil, lines[at]:sub(tab + 1))
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.timeout + e.status, latency:percentile(50), latency:percentile(99)))
end
