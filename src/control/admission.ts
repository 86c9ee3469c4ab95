/**
 * Who gets an xDS stream: agents, by what their credentials prove.
 */
import { status } from '@grpc/grpc-js';
import { NotAdmittedError, type AdsCall } from '../xds/server/admission.ts';
import type { Standing, StreamClient } from '../xds/server/scope.ts';
import type { AccessRules } from './auth/access-rules.ts';
import {
  AuthenticationError,
  type Authenticator,
  CredentialExpiredError,
  CredentialUncheckedError,
  type Credentials,
} from './auth/caller.ts';
import { credentialsOf } from './auth/credentials.ts';

export interface AdmissionOptions {
  readonly authenticator: Authenticator;
  readonly rules: AccessRules;
  /** calls come over a socket that only this machine's administrator can open: they need no credential */
  readonly local: StreamClient | undefined;
  /** of the connection a credential came over, as gRPC names it */
  readonly onAuthenticated?: (peer: string) => void;
  readonly tokenRecheckMs?: number;
}

/** A deleted pod's stream outlives it by so long; every review is a request to the API server. */
const TOKEN_RECHECK_MS = 5 * 60_000;

/** Throws NotAdmittedError, which tells the caller no reason. */
export async function admit(
  {
    authenticator,
    rules,
    local,
    onAuthenticated,
    tokenRecheckMs = TOKEN_RECHECK_MS,
  }: AdmissionOptions,
  call: AdsCall,
): Promise<StreamClient> {
  if (local !== undefined) return local;
  let caller;
  try {
    caller = await authenticator.authenticate(credentialsOf(call));
  } catch (error) {
    if (!(error instanceof AuthenticationError)) throw error;
    const message = 'request authenticate failure';
    throw new NotAdmittedError(status.UNAUTHENTICATED, 'unauthenticated', message, error);
  }
  onAuthenticated?.(call.getPeer());
  if (!rules.mayReadMesh(caller)) {
    const cause = new Error(`${caller.credential} of ${JSON.stringify(caller.identity)}`);
    throw new NotAdmittedError(status.PERMISSION_DENIED, 'denied', 'not an agent', cause);
  }
  const { identity, node, cluster, credential } = caller;
  const client = { identity, node, ...(cluster !== undefined && { cluster }) };
  const recheck = (): Promise<Standing> => standingOf(authenticator, credentialsOf(call));
  return {
    ...client,
    recheck: credential === 'certificate' ? recheck : seldom(recheck, tokenRecheckMs),
  };
}

/** A token whose issuer is away counts as it did: that the cluster cannot be asked is told elsewhere. */
async function standingOf(
  authenticator: Authenticator,
  credentials: Credentials,
): Promise<Standing> {
  try {
    await authenticator.authenticate(credentials);
    return 'valid';
  } catch (error) {
    if (error instanceof CredentialUncheckedError) return 'valid';
    if (error instanceof CredentialExpiredError) return 'over';
    if (error instanceof AuthenticationError) return 'refused';
    throw error;
  }
}

/** Not before `periodMs`, and up to a fifth later: streams that opened together are not asked about together. */
function seldom(recheck: () => Promise<Standing>, periodMs: number): () => Promise<Standing> {
  const next = (): number => performance.now() + periodMs * (1 + Math.random() / 5);
  let dueMs = next();
  return async () => {
    if (performance.now() < dueMs) return 'valid';
    dueMs = next();
    return recheck();
  };
}
