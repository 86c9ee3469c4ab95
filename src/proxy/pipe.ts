/** Joins two links: backpressure both ways, half-closes handed on, a reset on one side becomes a reset on the other. */
import type { Link } from './transport.ts';

/** `closed` hears once, when both links have ended for good. */
export function join(a: Link, b: Link, closed: (error?: Error) => void): void {
  let open = 2;
  let failure: Error | undefined;
  const over = (peer: Link, error?: Error): void => {
    failure ??= error;
    if (--open === 0) closed(failure);
    /* An orderly end needs nothing here: both directions have been ended, and what is queued may still leave. */
    else if (error) peer.close(true);
  };
  pipe(a, b, over);
  pipe(b, a, over);
}

/** Bytes of `from` go to `to`; `closed` hears when `from` has ended for good. */
function pipe(from: Link, to: Link, closed: (peer: Link, error?: Error) => void): void {
  let ended = false;
  from.start({
    data(chunk) {
      if (!to.send(chunk)) from.pause();
    },
    end() {
      ended = true;
      to.end();
    },
    /* `from` takes bytes again: its peer may go on reading. */
    drain() {
      to.resume();
    },
    close(error) {
      closed(to, error ?? (ended ? undefined : new Error('closed without end')));
    },
  });
}
