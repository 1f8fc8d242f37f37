-- KEYS record, head    ARGV jti, most bytes of a blob
-- Answers {jti, ok, blob, seq, incarnation} or {jti, none | corrupt}. Writes nothing.
-- Sizes are judged here, so that a value of any size written by somebody else never travels to an edge.
local jti = ARGV[1]
if redis.call('EXISTS', KEYS[1]) == 0 then return {jti, 'none'} end

local clear = redis.call('HMGET', KEYS[1], 'v', 'born', 'iat', 'exp', 'kid', 'client', 'family', 'subject')
for i = 1, 8 do
  if not clear[i] or clear[i] == '' then return {jti, 'corrupt'} end
end
if clear[1] ~= '1' then return {jti, 'corrupt'} end
local size = redis.call('HSTRLEN', KEYS[1], 'blob')
if size == 0 or size > tonumber(ARGV[2]) then return {jti, 'corrupt'} end

local head = redis.call('HMGET', KEYS[2], 'seq', 'incarnation')
if not head[1] or #head[1] > 20 or not head[2] or #head[2] > 64 then return {jti, 'corrupt'} end
return {jti, 'ok', redis.call('HGET', KEYS[1], 'blob'), head[1], head[2]}
