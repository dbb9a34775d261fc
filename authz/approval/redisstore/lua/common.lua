-- Shared by all scripts; KEYS[1] is the prefix. Each script runs alone in the server: what it does is one move.
local prefix = KEYS[1]
local PENDING, APPROVED, REJECTED, EXPIRED, WITHDRAWN = 1, 2, 3, 4, 5
local KEEP = 30 * 86400 -- seconds after the end

local function now_ms()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function key(id) return prefix .. 'a:' .. id end

-- 1e14 is beyond any counter here; %d would be cut by some interpreters, so numbers go as whole decimals.
local function int(n) return string.format('%.0f', n) end

local function changed(id)
  local seq = redis.call('INCR', prefix .. 'seq')
  redis.call('ZADD', prefix .. 'changes', int(seq), id)
  redis.call('PUBLISH', prefix .. 'changed', id)
end

local function move(id, from, to, now)
  local created = redis.call('HGET', key(id), 'seq')
  redis.call('HSET', key(id), 'state', int(to))
  if from == PENDING then redis.call('HSET', key(id), 'decided', int(now)) end
  redis.call('ZREM', prefix .. 'state:' .. int(from), id)
  redis.call('ZADD', prefix .. 'state:' .. int(to), created, id)
  if to ~= APPROVED then
    redis.call('ZREM', prefix .. 'deadlines', id)
    redis.call('EXPIRE', key(id), KEEP)
  end
  changed(id)
end

-- settle returns the state at now, having moved what is past its deadline; nil where there is nothing.
local function settle(id, now)
  local f = redis.call('HMGET', key(id), 'state', 'expires')
  if not f[1] then return nil end
  local state = tonumber(f[1])
  if (state == PENDING or state == APPROVED) and now >= tonumber(f[2]) then
    move(id, state, EXPIRED, now)
    return EXPIRED
  end
  return state
end
