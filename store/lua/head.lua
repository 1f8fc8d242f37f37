-- Put in front of the scripts that use what belongs to a whole shard: its head, floors and log. What is wrong with them
-- says nothing about a record, so it has a status of its own; any other error (no permission, out of memory) stays
-- Redis' own.
local function shard_error(name, reply)
  if type(reply) ~= 'table' or not reply.err then return nil end
  if string.find(reply.err, '^WRONGTYPE') or string.find(reply.err, 'The ID specified in XADD', 1, true) then return {name, 'head'} end
  return reply
end

-- The replication id of this node, nil if it is no master. It changes when a node starts and when it is promoted, so
-- whoever finds the id that he knows has found the same data, apart from what was written to it since.
local function master()
  return string.match(redis.call('INFO', 'replication'), '\nrole:master\r.-\nmaster_replid:(%x+)\r')
end

local function is_name(text) return text and #text <= 64 and string.find(text, '^[%w_-]+$') end

-- Answers the head; nil if the shard is empty; nil and a reply if the head is not what open.lua writes.
local function read_head(name, key)
  local f = redis.pcall('HMGET', key, 'seq', 'id', 'incarnation', 'opened', 'lease', 'sleep', 'began', 'lease_id', 'since')
  local failed = shard_error(name, f)
  if failed then return nil, failed end
  if not f[1] and not f[2] and redis.call('EXISTS', key) == 0 then return nil end
  local h = {seq = parse_count(f[1]), id = f[2], incarnation = f[3], opened = f[4],
    lease = parse_count(f[5]), sleep = parse_count(f[6]), began = parse_count(f[7]), lease_id = f[8], since = parse_count(f[9])}
  if h.seq and is_name(h.id) and is_name(h.incarnation) and is_name(h.opened) and is_name(h.lease_id) and h.lease and h.sleep and h.began then return h end
  return nil, {name, 'head'}
end

-- Answers the head of a shard that is open here; else nil and a reply.
local function open_head(name, key)
  local h, failed = read_head(name, key)
  if failed then return nil, failed end
  if not h or h.opened ~= master() then return nil, {name, 'closed'} end
  return h
end
