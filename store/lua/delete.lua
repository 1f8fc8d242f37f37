-- KEYS record, head    ARGV jti, quota key of the empty client
-- Answers {jti, ok | none | head}. DEL is the first write: whatever fails after it, the record is gone; and after a DEL,
-- even of nothing, a Redis that is out of memory lets the script write on.
local jti = ARGV[1]
local clear = redis.pcall('HGET', KEYS[1], 'clear')
local size = redis.pcall('HSTRLEN', KEYS[1], 'blob')
local there = redis.call('DEL', KEYS[1])
if redis.call('EXISTS', KEYS[2]) == 1 then
  local failed = shard_error(jti, redis.pcall('HINCRBY', KEYS[2], 'seq', 1))
  if failed then return failed end
end
if there == 0 then return {jti, 'none'} end
give_back(ARGV[2], clear, size)
return {jti, 'ok'}
