/** What runs inside Redis. */
import { createHash } from "node:crypto";

/** A Lua script and the SHA-1 that Redis knows it by. */
export interface RedisScript {
  readonly text: string;
  readonly sha: string;
}

function script(text: string): RedisScript {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

/**
 * KEYS; ARGV: one value per key, then one expiry in ms per key (empty: never), if any. Sets the values that are newer; gives
 * how many. Headers are compared as numbers, four words each: Lua compares strings by the server's locale, and its numbers
 * cannot hold 64 bits. Keys are read and written by one command each way, and a key may occur twice.
 */
export const mergeScript: RedisScript = script(`
local n = #KEYS
local unpackHeader = struct.unpack
local stored = redis.call('MGET', unpack(KEYS))
local latest = {}
local writes = {}
local count = 0
local expires = #ARGV > n
for i = 1, n do
  local key = KEYS[i]
  local value = ARGV[i]
  local old = latest[key] or stored[i]
  local newer = true
  if old and #old >= 16 then
    local a, b, c, d = unpackHeader('>I4I4I4I4', value)
    local p, q, r, s = unpackHeader('>I4I4I4I4', old)
    if a ~= p then newer = a > p
    elseif b ~= q then newer = b > q
    elseif c ~= r then newer = c > r
    else newer = d > s end
  end
  if newer then
    latest[key] = value
    count = count + 1
    if expires then
      local at = ARGV[n + i]
      if at == '' then redis.call('SET', key, value) else redis.call('SET', key, value, 'PXAT', at) end
    else
      writes[2 * count - 1] = key
      writes[2 * count] = value
    end
  end
end
if not expires and count > 0 then redis.call('MSET', unpack(writes)) end
return count`);

/**
 * KEYS: states; ARGV: field, text expected (empty: absent), next text with its 16-digit token in front. A command whose
 * answer was lost is sent again with its token, and finds that it was done.
 */
export const setStateScript: RedisScript = script(`
local stored = redis.call('HGET', KEYS[1], ARGV[1])
if stored == ARGV[3] then return 1 end
local current = ''
if stored then current = string.sub(stored, 17) end
if current ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1`);

/**
 * KEYS: counter; ARGV: seconds since the epoch. Gives a number never given before, also after the server was emptied: at
 * least the seconds, so that a writer of before the loss cannot hit a collection of after.
 */
export const nextCollectionScript: RedisScript = script(`
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
local now = tonumber(redis.call('TIME')[1]) - 1700000000
local following = math.max(last + 1, now)
redis.call('SET', KEYS[1], string.format('%.0f', following))
return string.format('%.0f', following)`);
