-- For wrk: sends the raw requests of a file (separated by NUL) in turn; MARK becomes an identifier.
local MARK = string.rep("@", 20)
local requests, marked, prefix = {}, {}, ""
local sent = 0

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local text = file:read("*a")
  file:close()
  prefix = args[2]
  for request in text:gmatch("[^%z]+") do
    requests[#requests + 1] = request
    marked[#requests] = request:find(MARK, 1, true) ~= nil
  end
end

function request()
  sent = sent + 1
  local number = (sent - 1) % #requests + 1
  if marked[number] then
    return (requests[number]:gsub(MARK, string.format("%s%012d", prefix, sent)))
  end
  return requests[number]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "seconds": %.6f, "errors": %d, "p50_ms": %.3f, "p99_ms": %.3f, "max_ms": %.3f}',
    summary.requests, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency.max / 1000))
end
