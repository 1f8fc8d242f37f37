-- KEYS seen    ARGV what is asked, milliseconds that an edge is shown, most edges
-- Answers {what is asked, ok, lines}: a line is edge, milliseconds, seqs. Whoever has been silent for sixty times as long
-- is forgotten, and so is a time as far ahead.
local shown, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local seen, lines = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #seen, 2 do
  local at = parse_count(string.match(seen[i + 1], '^(%d+) [%d,]+$'))
  local age = at and math.abs(now - at)
  if not age or age > 60 * shown then
    redis.call('HDEL', KEYS[1], seen[i])
  elseif age <= shown and #lines < most and is_name(seen[i]) and #seen[i + 1] < 4096 then
    lines[#lines + 1] = seen[i] .. ' ' .. seen[i + 1]
  end
end
return {ARGV[1], 'ok', table.concat(lines, '\n')}
