-- nil for what is no count ('inf' and 'nan' are numbers to Lua), or is one that Lua cannot hold exactly or Redis not at
-- all, as a time. Text that passes is short, zeros in front included, so it may be answered as it is.
local function parse_count(text)
  local n = text and #text <= 16 and tonumber(string.match(text, '^%d+$'))
  if n and n < 2^53 then return n end
end

local function format_count(n) return string.format('%.0f', n) end
