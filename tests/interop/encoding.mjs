// PROTOCOL 2: strict CBOR, and checks of what a structure holds.

import { createHash } from 'node:crypto'
import { decode, encode, rfc8949EncodeOptions } from 'cborg'

export class Refused extends Error {
  constructor (kind, because) { super(kind); Object.assign(this, { kind, because }) }
}
export const need = (condition, kind = 'malformed') => { if (!condition) throw new Refused(kind) }
export const hex = bytes => Buffer.from(bytes).toString('hex')
export const hexed = fields => Object.fromEntries(Object.entries(fields).map(([name, value]) =>
  [name, value instanceof Uint8Array ? hex(value) : value]))
export const bytes = text => new Uint8Array(Buffer.from(text, 'hex'))
export const same = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)) === 0
export const sha256 = (...parts) => parts.reduce((h, part) => h.update(part), createHash('sha256')).digest()

export const cbor = value => encode(value, rfc8949EncodeOptions)

const OPTIONS = { strict: true, useMaps: true, rejectDuplicateMapKeys: true, allowIndefinite: false, tags: [] }
export const isInt = value => typeof value === 'bigint' || Number.isSafeInteger(value)

function plain (value, levels = 8) {
  if (value instanceof Map || Array.isArray(value)) {
    need(levels > 0)
    for (const key of value instanceof Map ? value.keys() : []) need(typeof key === 'string' || isInt(key))
    for (const item of value.values()) plain(item, levels - 1)
  } else need(value instanceof Uint8Array || typeof value === 'string' || isInt(value))
}

export function strict (data, limit = 1 << 20) {
  need(data.length <= limit)
  let value
  try { value = decode(data, OPTIONS) } catch { throw new Refused('malformed') }
  plain(value)
  need(same(cbor(value), data)) // floats, the order of keys and broken UTF-8 show here
  return value
}

export const is = expected => v => v === expected
export const isBytes = (least, most = least) => v => v instanceof Uint8Array && v.length >= least && v.length <= most
export const isUint = (most = 2n ** 64n - 1n) => v => isInt(v) && v >= 0 && v <= most
export const isName = v => typeof v === 'string' && /^[a-z0-9._-]{1,64}$/.test(v)
export const isText = most => v => typeof v === 'string' && v.length <= most && /^[ -~]+$/.test(v)
export const isList = (check, least, most) => v =>
  Array.isArray(v) && v.length >= least && v.length <= most && v.every(check)
export const isArray = (...checks) => v =>
  Array.isArray(v) && v.length === checks.length && checks.every((check, i) => check(v[i]))
export const isMap = (required, optional = {}) => v => v instanceof Map &&
  Object.entries(required).every(([key, check]) => v.has(+key) && check(v.get(+key))) &&
  [...v].every(([key, item]) => key in required || (key in optional && optional[key](item)))
