-- For wrk: post the file that the first argument names, count every answer but 200, tell all as JSON on the last line.
local thread

function setup(each)
  thread = each -- the only one: serving_load.py asks for one
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method, wrk.body = "POST", file:read("*a")
  file:close()
  others = 0
end

function response(status)
  if status ~= 200 then
    others = others + 1
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "others": %d, "broken": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), thread:get("others"),
    errors.connect + errors.read + errors.write + errors.timeout
  ))
end
