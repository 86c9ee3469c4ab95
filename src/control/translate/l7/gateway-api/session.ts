/**
 * sessionPersistence → hash policies.  Consistent hashing keeps a session with its endpoint while the set of endpoints
 * stays the same; it works where the backend's balancer hashes, and only one backend is there to choose from.
 */
import type { SessionPersistence } from '../../../../model/resource/gateway-api.ts';
import type { HashPolicy } from '../../../../model/route.ts';
import { milliseconds } from '../matchers.ts';
import type { ApiReport } from './report.ts';
import type { BackendCluster } from './view.ts';

const DEFAULT_NAME = 'podwire-session';

export function sessionHash(
  session: SessionPersistence | undefined,
  backends: readonly BackendCluster[],
  path: string,
  report: ApiReport,
): readonly HashPolicy[] {
  if (session === undefined) return [];
  if (backends.length !== 1) {
    const message = `sessions are kept with an endpoint, but ${backends.length} backends share them`;
    report.warn('NOT_SUPPORTED', path, message, 'give the rule one backend');
    return [];
  }
  if (backends[0]?.hashing !== true) {
    const message = 'the balancer of the backend does not hash';
    const fix = 'add a DestinationRule with loadBalancer.consistentHash for the backend';
    report.warn('NOT_SUPPORTED', path, message, fix);
    return [];
  }
  const { type, sessionName: name = DEFAULT_NAME, idleTimeout, absoluteTimeout } = session;
  if (idleTimeout !== undefined) {
    const fix = 'use absoluteTimeout';
    report.warn('NOT_SUPPORTED', `${path}.idleTimeout`, 'idle sessions are kept', fix);
  }
  if (type === 'Header') {
    return [{ source: { type: 'header', name: name.toLowerCase() }, terminal: true }];
  }
  const permanent = session.cookieConfig?.lifetimeType === 'Permanent';
  const ttlMs = permanent ? (milliseconds(absoluteTimeout) ?? 0) : 0;
  if (!permanent && absoluteTimeout !== undefined) {
    const fix = 'set cookieConfig.lifetimeType to Permanent';
    report.warn('NOT_SUPPORTED', `${path}.absoluteTimeout`, 'a session cookie has none', fix);
  }
  return [{ source: { type: 'cookie', name, path: '/', ttlMs }, terminal: true }];
}
