/** Programs that run other programs: what they do says nothing of what they will do for another one. */

/** File names without a version. */
const INTERPRETERS =
  /^(python|pypy|node|nodejs|java|ruby|jruby|perl|php|php-fpm|php-cgi|bash|sh|dash|ash|zsh|ksh|mksh|fish|deno|bun|lua|luajit|Rscript|R|beam\.smp|tclsh|wish|guile|racket|sbcl|dotnet|mono|mono-sgen|busybox|toybox|coreutils|qemu-[a-z0-9_]+)(-?[\d.]+(-?[a-z]+)?)?$/;

export function isInterpreter(name: string): boolean {
  return INTERPRETERS.test(name);
}
