// node vectors.mjs DIRECTORY prints what the reader makes of every vector, one JSON object a line.

import { readFileSync } from 'node:fs'
import {
  Refused, bytes, hex, hexed, isBytes, isMap, isName, isText, isUint, sha256, strict
} from './encoding.mjs'
import { loadKey, signed } from './cose.mjs'
import * as reader from './reader.mjs'

const directory = process.argv[2]
const load = name => JSON.parse(readFileSync(`${directory}/${name}.json`))

const { keys } = load('keys')
const context = load('fleet')
const aad = bytes(context.aad)
const root = loadKey(bytes(keys[context.root].spki), 'identity')
const fleet = { ...context, ...reader.roster(bytes(context.roster), root, aad), aad, keys }

const ackFields = [
  ['sender', isName], ['message_id', isBytes(16)], ['digest', isBytes(32)], ['reader', isName], ['time', isUint()]
]
const common = Object.fromEntries(ackFields.map(([, check], i) => [i + 2, check]))
const isRead = isMap({ 1: v => v === 'read', ...common, 7: isBytes(32) })
const isUnreadable = isMap({ 1: v => v === 'unreadable', ...common, 8: isText(64) })

function readAck ({ data, signer }) {
  const record = signed(bytes(data), 'application/sealgate-ack+cose', v => isRead(v) || isUnreadable(v))
  const claims = record.check(loadKey(bytes(keys[fleet.identities[signer]].spki), 'identity'), aad)
  const named = Object.fromEntries(ackFields.map(([name], i) => [name, claims.get(i + 2)]))
  const last = { open_token: claims.get(7) ?? '', reason: claims.get(8) ?? '' }
  return { claims: hexed({ verdict: claims.get(1), ...named, ...last }) }
}

function diagnostic (value) {
  if (value instanceof Uint8Array) return `h'${hex(value)}'`
  if (Array.isArray(value)) return `[${value.map(diagnostic).join(', ')}]`
  if (value instanceof Map) return `{${[...value].map(pair => pair.map(diagnostic).join(': ')).join(', ')}}`
  return typeof value === 'string' ? JSON.stringify(value) : `${value}`
}

function contentKey ({ cek, message_id: id, reader_kid: kid, reader: name }) {
  const token = reader.openToken(bytes(cek), bytes(id), bytes(kid), name)
  return hexed({ commitment: reader.commitment(bytes(cek), bytes(id)), open_token: token, open_hash: sha256(token) })
}

const u32 = number => { const b = Buffer.alloc(4); b.writeUInt32BE(number); return b }

function tree (leaves) { // RFC 9162 2.1.1 and 2.1.3.1: a sender's work
  if (leaves.length === 1) return { root: leaves[0], paths: [[]] }
  const split = 2 ** Math.ceil(Math.log2(leaves.length) - 1)
  const [left, right] = [tree(leaves.slice(0, split)), tree(leaves.slice(split))]
  const paths = [...left.paths.map(p => [...p, right.root]), ...right.paths.map(p => [...p, left.root])]
  return { root: reader.node(left.root, right.root), paths }
}

function merkleTree ({ entries }) {
  const { root, paths } = tree([...Array(entries).keys()].map(i => reader.leaf(u32(i))))
  return { root: hex(root), paths: Object.fromEntries(paths.map((path, i) => [i, path.map(hex)])) }
}

const operations = {
  cbor: ({ data }) => ({ diagnostic: diagnostic(strict(bytes(data))) }),
  'content-key': contentKey,
  copy: given => reader.read(given, fleet),
  'dishonest-copy': given => reader.read(given, fleet),
  header: ({ header }) => hexed(reader.header(bytes(header))),
  'merkle-inclusion': ({ entry, index, count, path, root }) =>
    reader.included(reader.leaf(bytes(entry)), index, count, path.map(bytes), bytes(root)) ?? {},
  'merkle-tree': merkleTree,
  'padded-length': ({ length }) => ({ total: reader.total(length) }),
  'public-key': ({ spki, use }) => { const { alg, kid } = loadKey(bytes(spki), use); return { alg, kid: hex(kid) } },
  'read-ack': readAck,
  topic: ({ topic }) => reader.topicOf(topic),
  unpad: ({ plaintext }) => ({ data: hex(reader.unpad(bytes(plaintext))) })
}

for (const [file, operation] of Object.entries(operations)) {
  for (const { name, input } of load(file).vectors) {
    const result = { file, name }
    try { result.outcome = operation(input) } catch (error) {
      if (!(error instanceof Refused)) throw error
      Object.assign(result, { error: error.kind, because: error.because })
    }
    console.log(JSON.stringify(result, (_, value) => typeof value === 'bigint' ? `${value}` : value))
  }
}
