-- The requests that wrk sends. The argument is a Lua file that returns
--   requests  requests up to the CR LF of the last header, sent in turn
--   tail      the empty line and the body, the same for all requests
--   keys      nil, or the beginning of each request's own Idempotency-Key
--   rate      nil to send as fast as answers come, or requests per second on a fixed schedule
--
-- With a rate, each free connection takes the next time of the schedule. So a slow answer delays no other request as
-- long as connections are free. A request that finds no free connection in time is counted as late.

late, scheduled = 0, 0

local LATE_MS = 5
local CLOCK_MONOTONIC = 1
local threads = {}
local requests, count, tail, keys
local sent = 0

local function clock_ms()
  local ffi = require("ffi")
  ffi.cdef("typedef struct { long s; long ns; } bench_time; int clock_gettime(int clock, bench_time *time);")
  local time = ffi.new("bench_time")
  return function()
    ffi.C.clock_gettime(CLOCK_MONOTONIC, time)
    return tonumber(time.s) * 1000 + tonumber(time.ns) / 1e6
  end
end

local function keep_to(rate)
  local now_ms = clock_ms()
  local begin_ms
  function delay()
    local at_ms = now_ms()
    begin_ms = begin_ms or at_ms
    local wait_ms = begin_ms + scheduled * 1000 / rate - at_ms
    scheduled = scheduled + 1
    if wait_ms < -LATE_MS then late = late + 1 end
    return math.max(0, wait_ms)
  end
end

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local plan = dofile(args[1])
  requests, count, tail, keys = plan.requests, #plan.requests, plan.tail, plan.keys
  if not keys then
    for i = 1, count do requests[i] = requests[i] .. tail end
  end
  if plan.rate then keep_to(plan.rate) end
end

function request()
  sent = sent + 1
  local whole = requests[sent % count + 1]
  if keys then return whole .. "Idempotency-Key: " .. keys .. sent .. "\r\n" .. tail end
  return whole
end

function done()
  for _, thread in ipairs(threads) do
    print(string.format("Late: %d of %d", thread:get("late"), thread:get("scheduled")))
  end
end
