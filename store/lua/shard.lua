-- KEYS head, journals, votes    ARGV shard, issuer
-- Answers {shard, ok, replication id, open: 0 | 1, empty: 0 | 1, seq, id, incarnation, lease, sleep, journal, done, votes,
-- ms, lease id} or {shard, closed | head}: closed is a node that is no master. A vote is a line of issuer and word. Writes nothing.
local shard = ARGV[1]
local node = master()
if not node then return {shard, 'closed'} end
local h, failed = read_head(shard, KEYS[1])
if failed then return failed end
local journal, done = read_enrolment(KEYS[2], ARGV[2])
local votes, lines = redis.call('HGETALL', KEYS[3]), {}
for i = 1, #votes, 2 do
  local replication, word = string.match(votes[i + 1], '^(%x+) (%l+)$')
  if replication == node then lines[#lines + 1] = votes[i] .. ' ' .. word end
end
local time = redis.call('TIME')
local open = h and h.opened == node and '1' or '0'
local empty = h and '0' or '1'
h = h or {seq = 0, id = '', incarnation = '', lease = 0, sleep = 0, lease_id = ''}
return {shard, 'ok', node, open, empty, format_count(h.seq), h.id, h.incarnation, format_count(h.lease), format_count(h.sleep),
  journal or '', format_count(done or 0), table.concat(lines, '\n'), format_count(math.floor(time[1] * 1000 + time[2] / 1000)), h.lease_id}
