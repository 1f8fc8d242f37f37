-- KEYS head, floors    ARGV shard, record key of the empty jti, cursor, about how many keys
-- Answers {shard, ok, next cursor, lines} or {shard, head | closed}. What is no record of ours is left out. Writes
-- nothing. SCAN walks all keys of the database, of which this shard's have the hash tag of KEYS.
local shard, base = ARGV[1], ARGV[2]
local _, failed = open_head(shard, KEYS[1])
if failed then return failed end
local found, lines = redis.call('SCAN', ARGV[3], 'MATCH', base .. '*', 'COUNT', ARGV[4], 'TYPE', 'hash'), {}
for _, key in ipairs(found[2]) do
  local line, damaged = listed(shard, string.sub(key, #base + 1), key, KEYS[2])
  if damaged and damaged[2] ~= 'corrupt' then return damaged end
  lines[#lines + 1] = line
end
return {shard, 'ok', found[1], table.concat(lines, '\n')}
