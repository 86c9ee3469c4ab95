/**
 * Who gets an xDS stream: agents, by what their credentials prove.
 */
import { status } from '@grpc/grpc-js';
import { NotAdmittedError, type AdsCall } from '../xds/server/admission.ts';
import type { StreamClient } from '../xds/server/scope.ts';
import type { AccessRules } from './auth/access-rules.ts';
import { AuthenticationError, type Authenticator, type Credentials } from './auth/caller.ts';
import { credentialsOf } from './auth/credentials.ts';

export interface AdmissionOptions {
  readonly authenticator: Authenticator;
  readonly rules: AccessRules;
  /** calls come over a socket that only this machine's administrator can open: they need no credential */
  readonly local: StreamClient | undefined;
}

/** Throws NotAdmittedError, which tells the caller no reason. */
export async function admit(
  { authenticator, rules, local }: AdmissionOptions,
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
  if (!rules.mayReadMesh(caller)) {
    const cause = new Error(`${caller.credential} of ${JSON.stringify(caller.identity)}`);
    throw new NotAdmittedError(status.PERMISSION_DENIED, 'denied', 'not an agent', cause);
  }
  const { identity, node, cluster, credential } = caller;
  const client = { identity, node, ...(cluster !== undefined && { cluster }) };
  // A pod's token ends with its pod and is for the API server to say, which may be away while the agent is fine.
  return credential === 'certificate'
    ? { ...client, recheck: () => counts(authenticator, credentialsOf(call)) }
    : client;
}

async function counts(authenticator: Authenticator, credentials: Credentials): Promise<boolean> {
  try {
    await authenticator.authenticate(credentials);
    return true;
  } catch (error) {
    if (error instanceof AuthenticationError) return false;
    throw error;
  }
}
