/**
 * Join tokens: what lets a machine outside Kubernetes into the mesh, once, under one name.
 *
 * The id is in logs and lists, of the secret only its hash is kept.  256 random bits need no slow hash.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { JOIN_TOKEN_PREFIX } from '../../model/join-token-text.ts';
import type { ServiceAccountName } from './access-rules.ts';

export interface JoinToken {
  readonly id: string;
  /** of the node */
  readonly name: string;
  /** identities the node may hold besides those of its pods in the configuration */
  readonly identities: readonly ServiceAccountName[];
  /** SHA-256 of the secret, hex */
  readonly hash: string;
  /** ms since 1970 */
  readonly createdAt: number;
  readonly expiresAt: number;
}

const ID_BYTES = 8;
const SECRET_BYTES = 32;

export function newJoinToken(): Pick<JoinToken, 'id' | 'hash'> & { readonly text: string } {
  const id = randomBytes(ID_BYTES).toString('hex');
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  return { id, hash: hashOf(secret).toString('hex'), text: `${JOIN_TOKEN_PREFIX}.${id}.${secret}` };
}

/** Takes the same time whatever differs. */
export function isSecretOf({ hash }: Pick<JoinToken, 'hash'>, secret: string): boolean {
  const expected = Buffer.from(hash, 'hex');
  const given = hashOf(secret);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
