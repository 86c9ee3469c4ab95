/**
 * The credentials of a gRPC call: of its connection and its headers, and of nothing else it carries.
 */
import type { Metadata, ServerUnaryCall } from '@grpc/grpc-js';
import { AuthenticationError, type Credentials } from './caller.ts';

/** What unary and streaming calls have in common. */
export interface AuthenticatedCall {
  readonly metadata: Metadata;
  readonly getAuthContext: ServerUnaryCall<unknown, unknown>['getAuthContext'];
}

const BEARER = /^Bearer ([\x21-\x7e]+)$/i;
/** Kubernetes' tokens have some 1,200 characters. */
const MAX_HEADER_CHARACTERS = 16 * 1024;

/** Throws AuthenticationError when there are several tokens, or something else than a token. */
export function credentialsOf(call: AuthenticatedCall): Credentials {
  const headers = call.metadata.get('authorization');
  const { sslPeerCertificate } = call.getAuthContext();
  return { token: tokenOf(headers), certificate: sslPeerCertificate?.raw };
}

function tokenOf(headers: readonly (string | Buffer)[]): string | undefined {
  const [header, ...others] = headers;
  if (header === undefined) return undefined;
  if (others.length > 0) throw new AuthenticationError('more than one authorization header');
  const text = String(header);
  const match = text.length > MAX_HEADER_CHARACTERS ? null : BEARER.exec(text);
  if (!match) throw new AuthenticationError('the authorization header is no bearer token');
  return match[1];
}
