/**
 * Where the node's cgroup v2 hierarchy is mounted, from the text of /proc/mounts.
 */

/** The usual mount points first: a container runtime or a test may have mounted the hierarchy elsewhere as well. */
const PREFERRED = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified'];

export function findCgroup2(mountsText: string): string | undefined {
  const mounted = mountsText
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, , type]) => type === 'cgroup2')
    .map(([, target = '']) => unescapeMount(target));
  return PREFERRED.find((path) => mounted.includes(path)) ?? mounted[0];
}

/** The kernel writes space, tab, newline and backslash as three octal digits. */
function unescapeMount(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(parseInt(digits, 8)),
  );
}
