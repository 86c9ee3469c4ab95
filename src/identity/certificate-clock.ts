/**
 * Time as the certificate manager sees it: certificates end by the wall clock, which may be set; waiting is measured by
 * the monotonic one, which stands still while the machine sleeps.  What is due is what either of them says is due.
 */
export interface CertificateClock {
  /** ms since 1970 */
  readonly wall: () => number;
  /** ms since anything */
  readonly monotonic: () => number;
  /** Calls back once; returns how to stop it. */
  readonly after: (ms: number, callback: () => void) => () => void;
}

export const SYSTEM_CLOCK: CertificateClock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
