-- KEYS head, index, entries    ARGV name, after, most entries, most bytes, most bytes of an entry, and of the head
-- Answers {name, ok, version, blob, more: 0 | 1, entries} or {name, none | corrupt}. An entry is "key version bytes\n" and
-- so many bytes. Writes nothing.
local name = ARGV[1]
if redis.call('EXISTS', KEYS[1]) == 0 then return {name, 'none'} end
local version, size = redis.call('HGET', KEYS[1], 'version'), redis.call('HSTRLEN', KEYS[1], 'blob')
if not version or #version > 16 or size == 0 or size > tonumber(ARGV[6]) then return {name, 'corrupt'} end

local most, bytes, more, found = tonumber(ARGV[3]), 0, '0', {}
local keys = redis.call('ZRANGE', KEYS[2], '(' .. ARGV[2], '+inf', 'BYSCORE', 'LIMIT', 0, most + 1)
for i, key in ipairs(keys) do
  if i > most or bytes > tonumber(ARGV[4]) then more = '1' break end
  local length = #key > 64 and 0 or redis.call('HSTRLEN', KEYS[3], key)
  if length == 0 or length > tonumber(ARGV[5]) + 20 then return {name, 'corrupt'} end
  local at, blob = string.match(redis.call('HGET', KEYS[3], key), '^(%d+) (.+)$')
  if not at then return {name, 'corrupt'} end
  found[#found + 1] = key .. ' ' .. at .. ' ' .. #blob .. '\n' .. blob
  bytes = bytes + length
end
return {name, 'ok', version, redis.call('HGET', KEYS[1], 'blob'), more, table.concat(found)}
