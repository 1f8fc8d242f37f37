-- KEYS head, log, floors    ARGV shard, seq, id, most entries, furthest
-- Answers {shard, ok, flush: 0 | 1, seq, id, head's seq, incarnation, lease, keys, entries} or {shard, closed | head}.
-- seq and id are where the entries end. An entry is a line of seq, id, kind, name, until. Writes nothing.
local shard, asked, id = ARGV[1], parse_count(ARGV[2]), ARGV[3]
local h, failed = open_head(shard, KEYS[1])
if failed then return failed end

local function answer(flush, seq, at, keys, lines)
  return {shard, 'ok', flush, format_count(seq), at, format_count(h.seq), h.incarnation, format_count(h.lease), keys, table.concat(lines, '\n')}
end
local function flush()
  local keys = redis.pcall('HGET', KEYS[3], 'keys')
  return shard_error(shard, keys) or answer('1', h.seq, h.id, keys or '', {})
end

if asked == h.seq and id == h.id then return answer('0', asked, id, '', {}) end
if not asked or asked > h.seq or h.seq - asked > tonumber(ARGV[5]) then return flush() end
-- All that follow must be there, in order, and the first must follow the entry asked from, of which it has the id:
-- whatever is not exactly as it was written is the history of somebody else.
local n = math.min(h.seq - asked, tonumber(ARGV[4]))
local log = redis.pcall('XRANGE', KEYS[2], format_count(asked + 1) .. '-0', '+', 'COUNT', math.max(n, 1))
if log.err or n == 0 or #log ~= n then return flush() end
local lines, last = {}, id
for i, entry in ipairs(log) do
  local seq, text = format_count(asked + i), entry[2][2] or ''
  local before, rest, its = string.match(#text < 256 and text or '', '^([%w_-]+) (([%w_-]+) %l+ [%w_-]+ %d+)$')
  if not its or before ~= last or entry[1] ~= seq .. '-0' then return flush() end
  lines[i], last = seq .. ' ' .. rest, its
end
if asked + n == h.seq and last ~= h.id then return flush() end
return answer('0', asked + n, last, '', lines)
