-- KEYS record, head    ARGV jti, quota key of the empty client, incarnation for a new head
-- Answers {jti, ok | none | head}. DEL is the first write: whatever fails after it, the record is gone; and after a DEL,
-- even of nothing, a Redis that is out of memory lets the script write on.
local jti = ARGV[1]
local was = redis.pcall('HGET', KEYS[1], 'clear')
local size = redis.pcall('HSTRLEN', KEYS[1], 'blob')
local there = redis.call('DEL', KEYS[1])
local failed = head_error(jti, redis.pcall('HSETNX', KEYS[2], 'incarnation', ARGV[3]))
  or head_error(jti, redis.pcall('HINCRBY', KEYS[2], 'seq', 1))
if failed then return failed end
if there == 0 then return {jti, 'none'} end

-- The client is known only now, so its key cannot be among KEYS; it has their hash tag. Best effort: a record that
-- somebody else damaged gives nothing back, and its bucket ends by itself.
pcall(function()
  local _, iat, exp, _, client = parse_clear(was)
  local quota, field = ARGV[2] .. client, bucket_end(tonumber(iat), tonumber(exp))
  local grants, bytes = parse_usage(redis.call('HGET', quota, field))
  if grants > 1 then
    redis.call('HSET', quota, field, format_usage(grants - 1, math.max(bytes - size, 0)))
  else
    redis.call('HDEL', quota, field)
  end
end)
return {jti, 'ok'}
