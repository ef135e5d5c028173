-- The points of one account (connectors/points.py). KEYS: the state, and the calls under way (id by time of leaving).
-- ARGV: verb, horizon (ms), first minute limit, first day limit, a name for a state that begins; then, by verb:
--   look    -
--   take    1 to take a point even if none is left
--   settle  id, epoch, others, before, time of leaving, charged (1 yes, 0 no, -1 unknown),
--           and of minute and day each: limit, remaining, reset (ms); empty where the answer did not tell
--   hold    ms
-- Answers {granted, wait, id, epoch, others, before, now, and of minute and day each: limit, left, ms to its end}.
--
-- `left` is a lower bound of what the vendor has left, and may be negative in here. An answer tells what was left when
-- its call was served, at an unknown moment of the call's life. Every other call whose life overlaps may have been
-- served after that moment, so its point is subtracted: `others` were under way when the call left, and what `spent`
-- grew by since `before` left later. A call whose answer was lost stays among those under way until the horizon.
-- The end of a window is known to lie between `from` and `till`; a new window is believed in at `till` only.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local verb, horizon = ARGV[1], tonumber(ARGV[2])
local LENGTHS, ASK_AGAIN, ROUNDING = {60000, 86400000}, 250, 1000

local function number(value) return tonumber(value) or 0 end
local function text(value) return string.format('%.0f', value) end

redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - horizon)
redis.call('ZREMRANGEBYSCORE', KEYS[2], now + horizon, '+inf')
local under_way = redis.call('ZCARD', KEYS[2])

local stored = redis.call('HMGET', KEYS[1], 'epoch', 'told', 'asking', 'held', 'spent', 'ids')
local state = {
  epoch = stored[1], told = number(stored[2]), asking = number(stored[3]),
  held = number(stored[4]), spent = number(stored[5]), ids = number(stored[6]),
}
local windows = {}
for i, length in ipairs(LENGTHS) do
  local found = redis.call('HMGET', KEYS[1], 'limit' .. i, 'left' .. i, 'from' .. i, 'till' .. i)
  local window = {
    limit = tonumber(found[1]) or tonumber(ARGV[2 + i]), left = number(found[2]),
    from = number(found[3]), till = number(found[4]),
  }
  local is_clock_set_back = window.till > now + length + horizon
  if is_clock_set_back then state.told = 0 end
  if window.till <= now or is_clock_set_back then
    -- Calls under way left in the old window, but may be served in the new one.
    window.left, window.from, window.till = window.limit - under_way, now, now + length
  end
  windows[i] = window
end
if not state.epoch then state.epoch = ARGV[5] end
if state.held > now + LENGTHS[2] + horizon then state.held = 0 end
if state.asking > now + horizon then state.asking = 0 end

local function learn(window, length, first, others)
  local limit, remaining, reset = tonumber(ARGV[first]), tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2])
  if limit then window.limit = limit end
  if not remaining or not reset then return end
  reset = math.min(math.max(reset, 0), length)
  local left = remaining - others
  local from, till = tonumber(ARGV[10]) + reset - ROUNDING, now + reset + ROUNDING
  if till < window.from then
    -- A late answer about a window that is over.
    window.left = math.min(window.left, left)
  elseif from > window.till then
    window.left, window.from, window.till = left, from, till
  else
    window.left, window.from, window.till = left, math.max(window.from, from), math.min(window.till, till)
  end
end

local answer = {0, 0, 0, state.epoch, 0, 0, now}
local wait = math.max(0, state.held - now)
for _, window in ipairs(windows) do
  if window.left < 1 then wait = math.max(wait, window.till - now) end
end
-- While nobody knows what is left, one call at a time goes and asks.
if state.told == 0 and state.asking > now then wait = math.max(wait, ASK_AGAIN) end
answer[2] = wait

if verb == 'take' and (wait == 0 or ARGV[6] == '1') then
  state.ids = state.ids + 1
  answer[1], answer[3], answer[5], answer[6] = 1, state.ids, under_way, state.spent
  state.spent = state.spent + 1
  for _, window in ipairs(windows) do window.left = window.left - 1 end
  redis.call('ZADD', KEYS[2], now, state.epoch .. ':' .. state.ids)
  if state.told == 0 then state.asking = now + horizon end
elseif verb == 'settle' and ARGV[7] == state.epoch then
  local charged, does_tell = tonumber(ARGV[11]), ARGV[13] ~= '' or ARGV[16] ~= ''
  local member = state.epoch .. ':' .. ARGV[6]
  state.asking = 0
  local is_answered = charged >= 0 and redis.call('ZREM', KEYS[2], member) == 1
  if is_answered and charged == 0 then
    state.spent = state.spent - 1
    for _, window in ipairs(windows) do window.left = window.left + 1 end
  end
  if does_tell then
    local others = ARGV[8] + state.spent - ARGV[9] - charged
    learn(windows[1], LENGTHS[1], 12, others)
    learn(windows[2], LENGTHS[2], 15, others)
  end
  -- A vendor who charges and does not tell leaves us with the first assumption.
  if does_tell or charged == 1 then state.told = 1 end
elseif verb == 'hold' then
  state.held = math.max(state.held, now + tonumber(ARGV[6]))
end

for i, window in ipairs(windows) do
  redis.call('HSET', KEYS[1], 'limit' .. i, text(window.limit), 'left' .. i, text(window.left),
    'from' .. i, text(window.from), 'till' .. i, text(window.till))
  answer[5 + 3 * i], answer[6 + 3 * i], answer[7 + 3 * i] = window.limit, window.left, window.till - now
end
redis.call('HSET', KEYS[1], 'epoch', state.epoch, 'told', state.told, 'asking', text(state.asking),
  'held', text(state.held), 'spent', text(state.spent), 'ids', text(state.ids))
return answer
