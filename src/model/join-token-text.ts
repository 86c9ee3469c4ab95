/**
 * Join tokens as text: `podwire-join-v1.<id>.<secret>`.  The id may be logged, and is the enrolment that a node's
 * certificates name.
 */
export const JOIN_TOKEN_PREFIX = 'podwire-join-v1';

const FORM = /^podwire-join-v1\.([0-9a-f]{16})\.([A-Za-z0-9_-]{43})$/;

export interface JoinTokenText {
  readonly id: string;
  readonly secret: string;
}

export function looksLikeJoinToken(text: string): boolean {
  return text.startsWith(`${JOIN_TOKEN_PREFIX}.`);
}

/** undefined: not of the form */
export function parseJoinToken(text: string): JoinTokenText | undefined {
  const [, id, secret] = FORM.exec(text) ?? [];
  return id !== undefined && secret !== undefined ? { id, secret } : undefined;
}
