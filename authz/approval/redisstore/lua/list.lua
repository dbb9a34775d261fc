-- ARGV: before (0: from the newest), limit, states. Returns {id, position, ...}, descending, one more than limit if there are more.
local before, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local top = '+inf'
if before > 0 then top = '(' .. int(before) end
local names = {}
for i = 3, #ARGV do names[#names + 1] = 'state:' .. ARGV[i] end
if #names == 0 then names[1] = 'all' end
local rows = {}
for _, name in ipairs(names) do
  local found = redis.call('ZREVRANGEBYSCORE', prefix .. name, top, '-inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
  for i = 1, #found, 2 do rows[#rows + 1] = {found[i], tonumber(found[i + 1])} end
end
table.sort(rows, function(a, b) return a[2] > b[2] end)
local out = {}
for i = 1, math.min(#rows, limit + 1) do
  out[#out + 1] = rows[i][1]
  out[#out + 1] = int(rows[i][2])
end
return out
