// PROTOCOL 3 and 4: keys, signatures, signed records.

import * as crypto from 'node:crypto'
import { Refused, bytes, cbor, is, isArray, isBytes, isMap, need, same, sha256, strict } from './encoding.mjs'

export const [ES256, PS256, OAEP] = [-7, -37, -41]

export function loadKey (spki, use) {
  try {
    const key = crypto.createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    const { modulusLength, publicExponent, namedCurve } = key.asymmetricKeyDetails
    const rsa = key.asymmetricKeyType === 'rsa'
    if (rsa) {
      const modulus = Buffer.from(key.export({ format: 'jwk' }).n, 'base64url')
      need(modulusLength >= 2048 && modulusLength <= 4096 && publicExponent === 65537n && modulus.at(-1) & 1)
    } else need(namedCurve === 'prime256v1' && spki.length === 91 && use !== 'reader-key')
    need(same(key.export({ format: 'der', type: 'spki' }), spki))
    return { key, alg: use === 'reader-key' ? OAEP : rsa ? PS256 : ES256, kid: sha256(spki).subarray(0, 16) }
  } catch { throw new Refused('key-format') }
}

const PSS = { padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
const P1363 = { dsaEncoding: 'ieee-p1363' }
export const verify = ({ key, alg }, data, signature) =>
  need(crypto.verify('sha256', data, { key, ...(alg === ES256 ? P1363 : PSS) }, signature), 'signature')

export function signerHeader (data, typ) {
  const header = strict(data, 128)
  need(isMap({ 1: v => v === ES256 || v === PS256, 4: isBytes(16), 16: is(typ) })(header))
  return { alg: header.get(1), kid: header.get(4) }
}

export function signed (data, typ, shape) {
  need(data[0] === 0xd2)
  const message = strict(data.subarray(1))
  need(isArray(isBytes(0, 128), isMap({}), isBytes(0, 1 << 20), isBytes(0, 512))(message))
  const [protectedHeader, , payload, signature] = message
  const { alg, kid } = signerHeader(protectedHeader, typ)
  const claims = strict(payload)
  need(shape(claims))
  const check = (key, aad) => {
    need(alg === key.alg && same(kid, key.kid), 'signature')
    verify(key, cbor(['Signature1', protectedHeader, aad, payload]), signature)
    return claims
  }
  return { kid, claims, check }
}

export function sign ({ pkcs8, spki }, typ, claims, aad) {
  const key = crypto.createPrivateKey({ key: Buffer.from(bytes(pkcs8)), format: 'der', type: 'pkcs8' })
  const { alg, kid } = loadKey(bytes(spki), 'identity')
  const protectedHeader = cbor(new Map([[1, alg], [4, kid], [16, typ]]))
  const payload = cbor(claims)
  const data = cbor(['Signature1', protectedHeader, aad, payload])
  const signature = crypto.sign('sha256', data, { key, ...(alg === ES256 ? P1363 : PSS) })
  return Buffer.concat([Buffer.from([0xd2]), cbor([protectedHeader, new Map(), payload, signature])])
}
