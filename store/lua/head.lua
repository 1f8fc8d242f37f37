-- Put in front of the scripts that use the head. What is wrong with it says nothing about a record, so it has a status
-- of its own; any other error (no permission, out of memory) stays Redis' own.
local function head_error(name, reply)
  if type(reply) ~= 'table' or not reply.err then return nil end
  if string.find(reply.err, '^WRONGTYPE') or string.find(reply.err, 'not an integer', 1, true) then return {name, 'head'} end
  return reply
end

-- A seq has at most 19 digits: those of Redis' largest integer.
local function is_seq(seq) return #seq <= 19 and string.match(seq, '^%d+$') end

