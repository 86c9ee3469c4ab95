/**
 * Callers by the token of their pod: projected service account tokens, reviewed by the cluster's API server (TokenReview).
 *
 * Only tokens that are bound to a pod count.  Which node that pod is on is asked of the API server, by name, and the pod's
 * UID and account must be those of the token: what the caller says of itself plays no part.
 *
 * Rights it needs: create tokenreviews (authentication.k8s.io), get pods.
 */
import { createHash } from 'node:crypto';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { KubernetesError } from '../kubernetes/error.ts';
import {
  AuthenticationError,
  type Authenticator,
  type Caller,
  CredentialExpiredError,
  CredentialUncheckedError,
  type Credentials,
} from './caller.ts';

export interface KubernetesTokenOptions {
  readonly client: KubernetesClient;
  readonly trustDomain: string;
  /** cluster of `client`; absent: control's own */
  readonly cluster?: string;
  /** that the token must be for */
  readonly audience?: string;
  readonly now?: () => number;
}

const DEFAULT_AUDIENCE = 'istio-ca';
/** A deleted pod's token is good for so long at most; a node that opens a stream and asks for certificates asks once. */
const ACCEPTED_MS = 10_000;
/** Long enough to blunt a loop, short enough for a pod whose node name was not written yet. */
const REFUSED_MS = 1000;
const MAX_KNOWN = 10_000;
const MAX_UNDER_WAY = 256;
const MAX_TOKEN_LENGTH = 16_384;
const REVIEW_MS = 5000;

const POD_NAME = 'authentication.kubernetes.io/pod-name';
const POD_UID = 'authentication.kubernetes.io/pod-uid';
const ACCOUNT = /^system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})$/;
const NAME = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

type Verdict =
  | { readonly ok: true; readonly caller: Caller; readonly untilMs: number }
  | { readonly ok: false; readonly reason: string; readonly untilMs: number };

interface Account {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly podName: string;
  readonly podUid: string;
}

export class KubernetesTokenAuthenticator implements Authenticator {
  readonly #options: KubernetesTokenOptions;
  readonly #audience: string;
  readonly #now: () => number;
  /** by the token's hash, oldest first: tokens themselves are not kept */
  readonly #known = new Map<string, Verdict>();
  readonly #underWay = new Map<string, Promise<Verdict>>();

  constructor(options: KubernetesTokenOptions) {
    this.#options = options;
    this.#audience = options.audience ?? DEFAULT_AUDIENCE;
    this.#now = options.now ?? Date.now;
  }

  /** Throws AuthenticationError, also when the API server cannot be asked: that answer is not remembered. */
  async authenticate({ token }: Credentials): Promise<Caller> {
    if (token === undefined || token === '') throw new AuthenticationError('no token');
    const claims = claimsOf(token);
    if (claims === undefined) throw new AuthenticationError('the token is no JWT');
    // Not believed, but a token that says so of itself need not be asked about.
    if (claims.expiresMs <= this.#now()) throw new CredentialExpiredError('the token has expired');
    const hash = createHash('sha256').update(token).digest('base64');
    const verdict = this.#remembered(hash) ?? (await this.#decide(hash, token, claims.expiresMs));
    if (!verdict.ok) throw new AuthenticationError(verdict.reason);
    return verdict.caller;
  }

  #remembered(hash: string): Verdict | undefined {
    const verdict = this.#known.get(hash);
    if (verdict !== undefined && verdict.untilMs > this.#now()) return verdict;
    this.#known.delete(hash);
    return undefined;
  }

  async #decide(hash: string, token: string, expiresMs: number): Promise<Verdict> {
    let verdict = this.#underWay.get(hash);
    if (verdict === undefined) {
      if (this.#underWay.size >= MAX_UNDER_WAY)
        throw new CredentialUncheckedError('too many at once');
      verdict = this.#review(token, expiresMs).finally(() => this.#underWay.delete(hash));
      this.#underWay.set(hash, verdict);
    }
    let decided: Verdict;
    try {
      decided = await verdict;
    } catch (error) {
      if (error instanceof AuthenticationError) throw error;
      const { message } = error as Error;
      throw new CredentialUncheckedError(`the API server cannot be asked: ${message}`, {
        cause: error,
      });
    }
    this.#known.set(hash, decided);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN) break;
      this.#known.delete(oldest);
    }
    return decided;
  }

  async #review(token: string, expiresMs: number): Promise<Verdict> {
    const { client } = this.#options;
    const startedMs = this.#now();
    const refused = (reason: string): Verdict => ({
      ok: false,
      reason,
      untilMs: startedMs + REFUSED_MS,
    });
    const review = await client.call('/apis/authentication.k8s.io/v1/tokenreviews', {
      method: 'POST',
      timeoutMs: REVIEW_MS,
      body: { spec: { token, audiences: [this.#audience] } },
    });
    const account = accountOf(review, this.#audience);
    if (typeof account === 'string') return refused(account);
    const pod = await this.#pod(account);
    if (pod === undefined) return refused('the pod of the token does not exist');
    const refusal = mismatch(pod, account);
    if (refusal !== undefined) return refused(refusal);
    const { namespace, serviceAccount, podName: name, podUid: uid } = account;
    const { trustDomain, cluster } = this.#options;
    const caller: Caller = {
      identity: { trustDomain, namespace, serviceAccount },
      pod: { namespace, name, uid },
      node: pod.spec?.nodeName,
      credential: 'kubernetes-token',
      ...(cluster === undefined ? {} : { cluster }),
    };
    return { ok: true, caller, untilMs: Math.min(expiresMs, startedMs + ACCEPTED_MS) };
  }

  async #pod({ namespace, podName }: Account): Promise<PodObject | undefined> {
    const path = `/api/v1/namespaces/${namespace}/pods/${podName}`;
    try {
      return (await this.#options.client.call(path, { timeoutMs: REVIEW_MS })) as PodObject;
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return undefined;
      throw error;
    }
  }
}

interface PodObject {
  readonly metadata?: { readonly uid?: string };
  readonly spec?: { readonly nodeName?: string; readonly serviceAccountName?: string };
  readonly status?: { readonly phase?: string };
}

/** Why the pod the API server has is not the one the token was made for, or is no caller. */
function mismatch(pod: PodObject, { podUid, serviceAccount }: Account): string | undefined {
  if (pod.metadata?.uid !== podUid) return 'the pod of the token has been replaced';
  if ((pod.spec?.serviceAccountName ?? 'default') !== serviceAccount) {
    return 'the pod runs under another account';
  }
  if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed')
    return 'the pod has ended';
  return pod.spec?.nodeName ? undefined : 'the pod is on no node yet';
}

/** A text: why the review does not say who this is. */
function accountOf(review: unknown, audience: string): Account | string {
  const { status } = (review ?? {}) as { status?: ReviewStatus };
  if (status?.authenticated !== true) {
    return `the API server refuses the token: ${status?.error ?? 'not authenticated'}`;
  }
  // A server that knows no audiences confirms none, and would let every token pass.
  if (status.audiences?.includes(audience) !== true) return `the token is not for ${audience}`;
  const { username, extra } = status.user ?? {};
  const [, namespace, serviceAccount] = ACCOUNT.exec(username ?? '') ?? [];
  if (namespace === undefined || serviceAccount === undefined) return 'is no service account';
  const podName = only(extra?.[POD_NAME]);
  const podUid = only(extra?.[POD_UID]);
  if (podName === undefined || podUid === undefined || !NAME.test(podName)) {
    return 'the token is not bound to a pod';
  }
  return { namespace, serviceAccount, podName, podUid };
}

interface ReviewStatus {
  readonly authenticated?: boolean;
  readonly error?: string;
  readonly audiences?: readonly string[];
  readonly user?: {
    readonly username?: string;
    readonly extra?: Readonly<Record<string, readonly string[] | undefined>>;
  };
}

function only(values: readonly string[] | undefined): string | undefined {
  return values?.length === 1 && values[0] !== '' ? values[0] : undefined;
}

/** undefined: no JWT that a cluster would issue.  Nothing of it is verified. */
function claimsOf(token: string): { readonly expiresMs: number } | undefined {
  const parts = token.split('.');
  if (token.length > MAX_TOKEN_LENGTH || parts.length !== 3) return undefined;
  try {
    const { exp } = JSON.parse(Buffer.from(parts[1]!, 'base64url').toString()) as { exp?: unknown };
    // Without an end it is an old Secret's token, which is bound to nothing.
    return typeof exp === 'number' && Number.isFinite(exp) ? { expiresMs: exp * 1000 } : undefined;
  } catch {
    return undefined;
  }
}
