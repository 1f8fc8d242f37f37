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
-- The entry asked from must be there, by its id, and all that follow it, in order: whatever is not exactly as it was
-- written is the history of somebody else.
local n = math.min(h.seq - asked, tonumber(ARGV[4]))
local log = redis.pcall('XRANGE', KEYS[2], format_count(asked) .. '-0', '+', 'COUNT', n + 1)
if log.err or #log ~= n + 1 then return flush() end
local lines, last = {}, nil
for i, entry in ipairs(log) do
  local text = entry[2][2] or ''
  local its = #text < 256 and string.match(text, '^([%w_-]+) %l+ [%w_-]+ %d+$')
  if not its or entry[1] ~= format_count(asked + i - 1) .. '-0' or (i == 1 and its ~= id) then return flush() end
  if i > 1 then lines[i - 1] = format_count(asked + i - 1) .. ' ' .. text end
  last = its
end
if asked + n == h.seq and last ~= h.id then return flush() end
return answer('0', asked + n, last, '', lines)
