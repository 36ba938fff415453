// A Sealgate reader in another language, written from device_sdk/wire/PROTOCOL.md alone.

import * as crypto from 'node:crypto'
import {
  Refused, bytes, cbor, hex, hexed, is, isArray, isBytes, isInt, isList, isMap, isName, isText, isUint, need, same,
  sha256, strict
} from './encoding.mjs'
import { OAEP, loadKey, sign, signed, signerHeader, verify } from './cose.mjs'

// 5 and 6.1: header, reader list, copy

const TYP = 'application/sealgate-msg+cose'
const isSmall = most => v => isInt(v) && v >= -most && v <= most
const isPolicyShape = isArray(isUint(), isText(32), isSmall(18), isUint(1e9), isSmall(2n ** 62n), isSmall(2n ** 62n))
const isPolicy = v => isPolicyShape(v) && BigInt(v[3]) % 10n !== 0n &&
  BigInt(v[5]) - BigInt(v[4]) >= 1n && BigInt(v[5]) - BigInt(v[4]) < 2n ** 32n
const isHeader = isMap({
  1: is(3), 3: isText(128), 4: isBytes(16), 5: isBytes(12), 16: is(TYP),
  15: isMap({ 1: isName, 3: isName, 4: isUint(), 6: isUint(), 7: isBytes(16) }),
  '-70001': isArray(isBytes(32), isUint(1000)), '-70002': isBytes(32), '-70003': isUint()
}, { '-70006': isArray(isPolicy, isBytes(32)), '-70009': isBytes(1, 704) })

export function header (data) {
  const map = strict(data, 1472)
  need(isHeader(map))
  const claims = map.get(15); const [readerRoot, readerCount] = map.get(-70001)
  return {
    content_type: map.get(3), sender_kid: map.get(4), iv: map.get(5), sender: claims.get(1), channel: claims.get(3),
    expires: claims.get(4), issued: claims.get(6), message_id: claims.get(7), reader_root: readerRoot,
    reader_count: readerCount, cek_commitment: map.get(-70002), sequence: map.get(-70003),
    tree_head: map.get(-70009) ?? '',
    reading: map.has(-70006) ? readingOf(map.get(-70006)) : null
  }
}

function readingOf ([[version, unit, exponent, mantissa, low, high], commitment]) {
  return { policy: { version, unit, exponent, mantissa, low, high }, commitment: hex(commitment) }
}

function copyOf (data) {
  need(data.length <= 273584 && data[0] === 0xd8 && data[1] === 0x60)
  const path = isArray(isUint(999), isList(isBytes(32), 0, 10))
  const entry = isMap({ 1: is(OAEP), 4: isBytes(16), '-70004': path, '-70005': isBytes(32), '-70007': isName })
  const message = strict(data.subarray(2))
  need(isArray(isBytes(0, 1472), isMap({ 11: isArray(isBytes(0, 128), isMap({}), isBytes(0, 512)) }),
    isBytes(272, 270352), isArray(isArray(isBytes(0), entry, isBytes(256, 512))))(message))
  const [protectedHeader, unprotected, ciphertext, [[, fields, wrapped]]] = message
  const [signProtected, , signature] = unprotected.get(11)
  const head = header(protectedHeader); const signer = signerHeader(signProtected, TYP)
  need(same(signer.kid, head.sender_kid))
  const [kid, inclusion, openHash, reader] = [4, -70004, -70005, -70007].map(label => fields.get(label))
  const entryParts = { wrapped, kid, inclusion, openHash, reader }
  return { protectedHeader, head, signProtected, signer, signature, ciphertext, ...entryParts }
}

export const leaf = entry => sha256(Uint8Array.of(0), entry)
export const node = (left, right) => sha256(Uint8Array.of(1), left, right)

export function included (hash, index, count, path, root) { // RFC 9162 2.1.3.2
  let [position, last] = [index, count - 1]
  need(position <= last, 'inclusion')
  for (const sibling of path) {
    need(last > 0, 'inclusion')
    if (position % 2 || position === last) {
      hash = node(sibling, hash)
      while (position % 2 === 0 && position > 0) [position, last] = [position >> 1, last >> 1]
    } else hash = node(hash, sibling)
    ;[position, last] = [position >> 1, last >> 1]
  }
  need(last === 0 && same(hash, root), 'inclusion')
}

const expand = (key, ...info) => // HKDF-Expand for one block
  [...info, Buffer.from([1])].reduce((h, part) => h.update(part), crypto.createHmac('sha256', key)).digest()
export const commitment = (cek, id) => expand(cek, 'sealgate 1 commit', id)
export const openToken = (cek, id, kid, reader) => expand(cek, 'sealgate 1 open', id, kid, reader)

export function total (length) { // 5.4
  need(length <= 262144)
  const exponent = Math.floor(Math.log2(4 + length))
  const step = 2 ** (exponent - Math.floor(Math.log2(exponent)) - 1)
  return Math.max(256, Math.ceil((4 + length) / step) * step)
}

export function unpad (plaintext) {
  need(plaintext.length >= 4)
  const length = Buffer.from(plaintext).readUInt32BE()
  need(plaintext.length === total(length) && plaintext.subarray(4 + length).every(byte => byte === 0))
  return plaintext.subarray(4, 4 + length)
}

// 8.3 and 9: roster and topics

const isNames = v => isList(isName, 0, 1000)(v) && v.every((name, i) => i === 0 || v[i - 1] < name)
const isDevice = isMap({ 1: isList(isBytes(1, 1024), 1, 8), 2: isList(isName, 1, 2), 3: isUint() }, { 4: isUint() })
const isRule = isMap({ 1: v => v === 'observe' || v === 'require', 2: isPolicy })
const isChannel = isMap({ 1: isNames, 2: isNames, 3: isUint(2592000) }, { 4: isRule })

export function roster (file, root, aad) {
  const [signedHead, pages] = strict(file)
  const hashes = isList(isBytes(32), 1, 200)
  const shape = isMap({ 1: v => same(v, root.kid), 2: isUint(), 3: isUint(), 4: isUint(), 5: hashes })
  const head = signed(signedHead, 'application/sealgate-roster+cose', shape).check(root, aad)
  const devices = new Map(); const channels = new Map()
  head.get(5).forEach((hash, i) => {
    need(same(sha256(pages[i]), hash), 'untrusted')
    const page = strict(pages[i])
    for (const [name, entry] of page.get(1)) { need(isDevice(entry)); devices.set(name, entry) }
    for (const [name, entry] of page.get(2)) { need(isChannel(entry)); channels.set(name, entry) }
  })
  return { devices, channels }
}

export function topicOf (text) {
  const [, kind, rest] = /^sealgate\/1\/([a-z]+)(?:\/(.*))?$/.exec(text) ?? need(false, 'topic')
  const levels = rest?.split('/') ?? []
  const one = { send: 1, notice: 1, query: 1, seen: 1, announce: 1, keys: 1, state: 1, log: 1, prove: 1, proof: 1, join: 1, cert: 1 }
  const names = { ...one, inbox: 2, read: 2, roster: 0 }[kind]
  const id = { send: 32, inbox: 32, read: 32, roster: levels.length && 64 }[kind] ?? 0
  need(names !== undefined && levels.length === names + (id > 0) && levels.slice(0, names).every(isName), 'topic')
  need(!id || new RegExp(`^[0-9a-f]{${id}}$`).test(levels.at(-1)), 'topic')
  const [owner, sender] = levels.slice(0, names)
  const last = id ? { [kind === 'roster' ? 'page_hash' : 'message_id']: levels.at(-1) } : {}
  return { kind, ...(owner && { owner }), ...(sender && { sender }), ...last }
}

// 6.2: the reader's order, and 7: the read ack

function checkCopy (data, { topic, reader }, fleet) {
  const copy = copyOf(data); const { head } = copy
  const sender = fleet.devices.get(head.sender)
  const isSenders = spki => same(sha256(spki).subarray(0, 16), head.sender_kid)
  const spki = sender?.get(2).includes('device') && sender.get(1).find(isSenders)
  need(spki, 'unknown-device')
  const key = loadKey(spki, 'identity')
  need(copy.signer.alg === key.alg, 'signature')
  const { protectedHeader, signProtected, ciphertext } = copy
  const countersigned = cbor(['CounterSignature', protectedHeader, signProtected, fleet.aad, ciphertext])
  verify(key, countersigned, copy.signature)
  need(copy.reader === reader)
  const entry = cbor([OAEP, copy.reader, copy.kid, copy.wrapped, copy.openHash])
  included(leaf(entry), copy.inclusion[0], head.reader_count, copy.inclusion[1], head.reader_root)
  const where = topicOf(topic)
  need(where.owner === reader && where.sender === head.sender && where.message_id === hex(head.message_id))
  need(head.channel === 'direct' || fleet.channels.get(head.channel)?.get(2).includes(head.sender))
  return { ...copy, digest: sha256(countersigned), dropped: sender.has(4) || head.expires <= fleet.now }
}

export function read (given, fleet) {
  let copy
  try { copy = checkCopy(bytes(given.copy), given, fleet) } catch (e) { throw new Refused('damaged', e.kind) }
  need(!copy.dropped, 'dropped')
  const { pkcs8, spki } = fleet.keys[given.key]
  need(same(copy.kid, sha256(bytes(spki)).subarray(0, 16)), 'key-gone')
  try { return open(copy, pkcs8, fleet) } catch { throw new Refused('unreadable') }
}

function open (copy, pkcs8, { aad, keys, identities, now }) {
  const { digest, head: { sender, message_id: id, iv, cek_commitment: committed } } = copy
  const key = crypto.createPrivateKey({ key: Buffer.from(bytes(pkcs8)), format: 'der', type: 'pkcs8' })
  const padding = crypto.constants.RSA_PKCS1_OAEP_PADDING
  const cek = crypto.privateDecrypt({ key, oaepHash: 'sha256', padding }, copy.wrapped)
  need(cek.length === 32 && same(commitment(cek, id), committed))
  const token = openToken(cek, id, copy.kid, copy.reader)
  need(same(sha256(token), copy.openHash))
  const aes = crypto.createDecipheriv('aes-256-gcm', cek, iv, { authTagLength: 16 })
  aes.setAAD(cbor(['Encrypt', copy.protectedHeader, aad])).setAuthTag(copy.ciphertext.subarray(-16))
  const payload = unpad(Buffer.concat([aes.update(copy.ciphertext.subarray(0, -16)), aes.final()]))
  const claims = new Map([[1, 'read'], [2, sender], [3, id], [4, digest], [5, copy.reader], [6, now], [7, token]])
  const ack = sign(keys[identities[copy.reader]], 'application/sealgate-ack+cose', claims, aad)
  return { ...hexed({ digest, message_id: id, payload, open_token: token, ack }), sender }
}
