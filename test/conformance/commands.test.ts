/**
 * Real programs, unmodified, do in the sandbox what they do on the host: tools, shells, interpreters, compilers.
 *
 * A line runs as `bash -c LINE` in a fresh directory, unless it is a list of words, which runs as it is. A line whose
 * programs are not installed is skipped, and says so in its name.
 */
import { accessSync, constants } from "node:fs"
import { describe, test } from "vitest"
import { expectSame } from "./Compare.ts"
import { DUMPS_CORE, PLATFORMS } from "./Platforms.ts"
import { ENVIRONMENT } from "./Run.ts"

/** For commands that walk as many files as the machine happens to have. */
const TREE_TIMEOUT = 100_000

interface Command {
  readonly name: string
  readonly line: string | ReadonlyArray<string>
  /** Programs that must be installed; the line's own are not guessed. */
  readonly needs?: ReadonlyArray<string>
  readonly stdin?: string
  /** How long it may take, ms, if longer than most. */
  readonly timeout?: number
}

const isExecutable = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const isInstalled = (program: string): boolean =>
  program.startsWith("/")
    ? isExecutable(program)
    : (ENVIRONMENT["PATH"] ?? "").split(":").some((directory) => isExecutable(`${directory}/${program}`))

const manyLines = Array.from({ length: 5000 }, (_, i) => `${(i * 7919) % 5003} line ${i}`).join("\n")

const FILES = `mkdir -p tree/a/b tree/c; for i in 1 2 3; do echo "file $i" > tree/a/$i.txt; done
  echo needle in a haystack > tree/a/b/deep; ln -s ../a/1.txt tree/c/link; chmod 640 tree/a/2.txt
  touch -h -d @1000000000 tree/a/*.txt tree/a/b/deep tree/c/link tree/a/b tree/a tree/c tree; `

/** Container programs, in mount namespaces of their own. */
const containers: ReadonlyArray<Command> = [
  {
    name: "bwrap",
    line: "bwrap --ro-bind / / --dev /dev --proc /proc --tmpfs /tmp ls / /dev /tmp",
    needs: ["bwrap"]
  },
  {
    name: "bwrap, with a root made of pieces",
    line: `mkdir own; echo content > own/file
      bwrap --ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 --proc /proc \
        --dir /run/x --bind own /own --tmpfs /tmp --chdir /own \
        sh -c 'pwd; ls /; cat file; echo more >> file; touch /usr/x; echo $?; ls /proc/self/root'
      cat own/file`,
    needs: ["bwrap"]
  },
  {
    name: "mount and umount",
    line: `mkdir d e; unshare -m sh -c 'mount -t tmpfs -o size=1m,mode=700 x d; stat -c %a d; df --output=size d
      mount --bind d e; touch d/f; ls e; mount -o remount,ro,bind e; touch e/g; findmnt -no TARGET,OPTIONS d | sed s,.*/,,
      umount d; umount e; umount e'; ls d e`,
    needs: ["unshare", "findmnt"]
  }
]

const tools: ReadonlyArray<Command> = [
  { name: "true", line: ["true"] },
  { name: "false", line: ["false"] },
  { name: "echo", line: ["echo", "a", "b  c"] },
  { name: "the environment", line: ["env"] },
  { name: "pwd", line: ["pwd"] },
  { name: "id", line: ["id"] },
  { name: "cat, from standard input", line: ["cat"], stdin: manyLines },
  { name: "cat of files", line: "cat /etc/passwd /etc/os-release missing" },
  // what the host itself changes from one moment to the next is left out
  { name: "ls -l /", line: "ls -l / | tr -s ' ' | grep -vE ' (proc|tmp|root|run)$'" },
  { name: "ls / by kind", line: "ls -l / | awk 'NR > 1 { print $1, $3, $4, $9, $10, $11 }'" },
  { name: "ls -l of what we made", line: `${FILES} ls -lR --time-style=+%s tree` },
  { name: "ls -la /etc", line: "ls -la /etc/ssl /etc/apt" },
  { name: "stat", line: `${FILES} stat -c '%n %F %a %s %h %U %Y' tree/* tree/*/*` },
  { name: "sort", line: ["sort", "-n"], stdin: manyLines },
  { name: "sort in parallel", line: "sort --parallel=2 -S 1M -k2 | md5sum", stdin: manyLines },
  { name: "grep -r", line: `${FILES} grep -rn needle tree; grep -rc file tree | sort; grep -r absent tree` },
  { name: "grep -r over headers", line: "grep -rl 'define EAGAIN' /usr/include | sort", timeout: TREE_TIMEOUT },
  { name: "find by name", line: "find /usr/share -name '*.h' | sort | head -50", timeout: TREE_TIMEOUT },
  {
    name: "find with conditions",
    line: `${FILES} find tree -type f -newermt '2001-01-01' -printf '%p %s %m\\n' | sort`
  },
  { name: "find -exec", line: `${FILES} find tree -name '*.txt' -exec wc -c {} + | sort` },
  { name: "xargs -P", line: "seq 40 | xargs -P 4 -n 5 echo | sort" },
  { name: "cp, mv, rm", line: `${FILES} cp -a tree copy && mv copy/a copy/z && rm -r copy/c && find copy | sort` },
  { name: "dd", line: "dd if=/dev/zero of=f bs=4k count=100 status=none && dd if=f bs=1k skip=10 status=none | wc -c" },
  { name: "head and tail", line: "seq 1000 | tail -n 20 | head -n 3; tail -c 5 /etc/passwd | od -c" },
  { name: "tail -f, killed", line: "echo x > f; timeout 0.5 tail -f f; echo $?" },
  { name: "tee", line: "echo text | tee a b c; cat a b c" },
  { name: "wc", line: "wc /etc/passwd /etc/group" },
  { name: "cut, paste, tr, uniq", line: "cut -d: -f1 /etc/passwd | tr a-z A-Z | sort | uniq -c | paste - - | head -5" },
  { name: "od, base64, cksum", line: "seq 100 | base64 | tee >(cksum) | od -An -tx1 | head -3; sleep 0.2" },
  { name: "sha256sum", line: "sha256sum /usr/bin/env /etc/passwd /bin/sh" },
  { name: "checksums of a large file", line: "head -c 20000000 /dev/zero | md5sum" },
  { name: "tar c | tar t", line: `${FILES} tar -C tree --sort=name -c . | tar tv --full-time` },
  {
    name: "tar round trip",
    line: `${FILES} tar czf t.tgz tree && mkdir out && tar -C out -xzf t.tgz && diff -r tree out/tree && echo same`
  },
  { name: "gzip", line: "seq 20000 | gzip -9 | gunzip | md5sum" },
  { name: "xz", line: "seq 20000 | xz -T1 | xz -d | md5sum", needs: ["xz"] },
  {
    name: "diff and patch",
    line: "seq 10 > a; seq 2 11 > b; diff -u --label a --label b a b > p; cat p; patch -s a p && cmp a b",
    needs: ["patch"]
  },
  { name: "file", line: "file -b /bin/true /etc/passwd /dev/null /tmp", needs: ["file"] },
  { name: "date", line: "date -u -d @1234567890; date -r /etc/passwd +%s" },
  { name: "sleep", line: "sleep 0.05; echo $?" },
  { name: "timeout", line: "{ timeout 0.2 sleep 5; echo $?; timeout -s KILL 0.2 sleep 5; echo $?; } 2>/dev/null" },
  { name: "nice, nohup, setsid", line: "nice -n 3 nice; setsid -w sh -c 'exit 4'; echo $?; nohup echo hi 2>/dev/null" },
  { name: "mktemp and trap", line: "d=$(mktemp -d); trap 'rmdir $d; echo cleaned' EXIT; test -d $d && echo made" },
  { name: "mkfifo", line: "mkfifo p; (echo through > p &); cat p" },
  {
    name: "flock",
    line: "(flock 9; sleep 0.2; echo first) 9> l & sleep 0.1; (flock 9; echo second) 9> l; flock -n l true; echo $?; wait",
    needs: ["flock"]
  },
  { name: "readlink and realpath", line: `${FILES} readlink tree/c/link; realpath --relative-to=. tree/c/link` },
  {
    name: "truncate and sparse files",
    line: "truncate -s 10M f; stat -c %s f; du -k --apparent-size f; cp --sparse=always f g; cmp f g; echo $?"
  },
  { name: "split and join", line: "seq 100 | split -l 30; wc -l x*; cat x* | md5sum" },
  { name: "yes | head", line: "yes | head -n 100000 | md5sum" },
  { name: "ps", line: "ps -o comm= -p $$", needs: ["ps"] },
  {
    name: "proc as shells read it",
    line: "cat /proc/self/comm; tr '\\0' ' ' < /proc/self/cmdline; head -c 4 /proc/self/exe | od -c"
  },
  {
    name: "reading devices",
    line: "head -c 10 /dev/zero | od -An -c; wc -c < /dev/null; head -c 8 /dev/urandom | wc -c; echo x > /dev/full"
  },
  {
    name: "writing to /dev/stderr",
    line: "(echo twice | tee /dev/stderr | cat; echo again > /dev/stderr) 2>&1 | sort"
  },
  { name: "bc", line: "echo 'scale=30; 4*a(1)' | bc -l", needs: ["bc"] }
]

const shells: ReadonlyArray<Command> = [
  {
    name: "bash: pipelines and status",
    line: "false | true; echo $?; set -o pipefail; false | true; echo $?; seq 5 | while read x; do echo $((x * x)); done"
  },
  {
    name: "bash: subshells",
    line: "x=1; (x=2; cd /; echo $x $PWD); echo $x; (exit 7); echo $?; { echo a; echo b; } | cat -n"
  },
  {
    name: "bash: background jobs",
    line: "for i in 3 1 2; do (sleep 0.$i; echo $i) & done; wait; sleep 0.1 & wait $!; echo $?; (exit 9) & wait $!; echo $?"
  },
  {
    name: "bash: wait -n",
    line: "(sleep 0.1; exit 3) & (sleep 0.6; exit 4) & wait -n; echo $?; wait -n; echo $?; wait -n; echo $?"
  },
  {
    name: "bash: traps",
    line: "trap 'echo got TERM' TERM; trap 'echo bye' EXIT; kill -TERM $$; echo after; trap '' INT; kill -INT $$; echo ignored"
  },
  {
    name: "bash: a trap during wait",
    line: "trap 'echo usr1' USR1; (sleep 0.2; kill -USR1 $$) & sleep 1 & wait $!; echo $(( $? > 128 )); wait"
  },
  {
    name: "bash: killed by signals",
    line: "for s in HUP INT TERM KILL SEGV PIPE; do (kill -$s $BASHPID; sleep 1) 2>/dev/null; echo $s $?; done 2>/dev/null"
  },
  { name: "bash: kill $$", line: "kill -9 $$" },
  { name: "bash: exit status", line: "exit 42" },
  {
    name: "bash: here-documents",
    line: "cat <<X\n$((1+1)) $HOME_LESS\nX\ncat <<'X'\n$notexpanded\nX\ncat <<< \"here string\"; tr a-z A-Z <<-X\n\tindented\nX\n"
  },
  { name: "bash: a large here-document", line: `wc -c <<'X'\n${"0123456789".repeat(9000)}\nX\n` },
  {
    name: "bash: command substitution",
    line: 'echo "[$(echo a; echo; echo)]"; x=$(exit 5); echo $?; echo $(< /etc/hostname) | wc -l; echo `echo back`'
  },
  { name: "bash: process substitution", line: "diff <(seq 5) <(seq 2 6); cat <(echo one) <(echo two)" },
  {
    name: "bash: redirections",
    line: "exec 3> f; echo three >&3; exec 3>&-; cat f; echo err 2>&1 >&2 | cat; ls missing 2> e; wc -l < e; echo x >> f; cat f; echo >&9"
  },
  {
    name: "bash: job control",
    line: "{ set -m; sleep 5 & kill -STOP %1; sleep 0.2; jobs | sed 's/ \\+/ /g'; kill -KILL $!; sleep 0.2; wait $!; echo $?; } 2>/dev/null"
  },
  {
    name: "bash: coproc",
    line: "coproc cat; echo hello >&${COPROC[1]}; read -r x <&${COPROC[0]}; echo $x; kill $COPROC_PID"
  },
  {
    name: "bash: functions and arrays",
    line: "declare -A m=([a]=1 [b]=2); f() { local x=$1; (( x > 0 )) && f $((x-1)); echo $x; }; f 3; echo ${m[a]}${m[b]}"
  },
  { name: "bash: globs", line: `${FILES} echo tree/*/*.txt; shopt -s globstar; echo tree/**; echo nomatch*` },
  { name: "bash: read with a timeout", line: "mkfifo p; exec 3<>p; read -t 0.1 x <&3; echo $(( $? > 128 ))" },
  {
    name: "bash: many forks",
    line: "for i in $(seq 100); do /bin/true; done; for i in $(seq 50); do (:); done; echo done"
  },
  {
    name: "bash: command not found",
    line: "nosuchcommand; echo $?; ./nothere; echo $?; /etc/passwd; echo $?; /; echo $?"
  },
  {
    name: "bash: ulimit and umask",
    line: "umask 027; umask; touch f; stat -c %a f; ulimit -n 50; ulimit -n; (ulimit -f 1; head -c 5000 /dev/zero > big; echo $?) 2>/dev/null"
  },
  {
    name: "dash",
    line: [
      "dash",
      "-c",
      "x=$(seq 3 | tr '\\n' +)0; echo $((x)); trap 'echo t' EXIT; (exit 3) || echo $?; echo a | { read b; echo $b; }"
    ]
  },
  {
    name: "dash: a script from standard input",
    line: ["dash", "-s", "one", "two"],
    stdin: "echo $# $2\nfor i in 1 2 3; do echo $i; done\nexit 6\n"
  },
  {
    name: "an executable script",
    line: "printf '#!/bin/sh\\necho \"$0 $*\"\\n' > s; chmod +x s; ./s a b; printf 'echo no shebang\\n' > t; chmod +x t; ./t"
  }
]

const busybox = (applet: string, line: string): Command => ({ name: `busybox ${applet}`, line, needs: ["busybox"] })

const applets: ReadonlyArray<Command> = [
  { name: "busybox, statically linked", line: ["busybox", "echo", "hello"], needs: ["busybox"] },
  busybox("sh", "busybox sh -c 'for i in 1 2 3; do echo $i; done | busybox wc -l; busybox true && echo yes'"),
  busybox("ls", `${FILES} busybox ls -l tree/a | busybox awk '{ print $1, $5, $NF }'`),
  busybox("find and xargs", `${FILES} busybox find tree -type f | busybox sort | busybox xargs busybox wc -c`),
  busybox("tar", `${FILES} busybox tar c tree | busybox tar t | busybox sort`),
  busybox("gzip", "busybox seq 1000 | busybox gzip | busybox gunzip | busybox md5sum"),
  busybox(
    "sed and awk",
    "busybox seq 9 | busybox sed 's/3/three/;5d' | busybox awk '{ s = s $0 \",\" } END { print s }'"
  ),
  busybox("grep", "busybox grep -c root /etc/passwd; busybox grep -q nothing /etc/passwd; echo $?"),
  busybox("dd", "busybox dd if=/dev/zero bs=1k count=100 2>/dev/null | busybox wc -c"),
  busybox("expr and test", "busybox expr 6 '*' 7; busybox test -d /tmp && echo d; busybox [ 1 = 2 ]; echo $?"),
  busybox("vi-like editing by ed", "busybox printf 'a\\nline\\n.\\nw f\\nq\\n' | busybox ed >/dev/null; busybox cat f"),
  busybox(
    "cp, mv, rm, ln",
    `${FILES} busybox cp -r tree t2 && busybox mv t2 t3 && busybox ln -s t3 t4 && busybox ls -R t4/a; busybox rm -r t3; busybox ls`
  ),
  busybox("stat and chmod", "busybox touch f; busybox chmod 751 f; busybox stat -c '%a %F %s' f"),
  busybox("timeout and sleep", "busybox timeout 1 busybox sleep 5; echo $?"),
  busybox("sha256sum", "busybox sha256sum /etc/passwd"),
  busybox(
    "cpio and od",
    "echo x > f; echo f | busybox cpio -o 2>/dev/null | busybox cpio -t 2>/dev/null; busybox od -c f"
  )
]

const PYTHON = "/usr/bin/python3"
const python = (name: string, code: string): Command => ({
  name: `python: ${name}`,
  line: [PYTHON, "-c", code],
  needs: [PYTHON]
})
const perl = (name: string, code: string): Command => ({
  name: `perl: ${name}`,
  line: ["perl", "-e", code],
  needs: ["perl"]
})
const node = (name: string, code: string): Command => ({ name: `node: ${name}`, line: [process.execPath, "-e", code] })

const interpreters: ReadonlyArray<Command> = [
  perl("hashes and sorting", 'my %h; $h{length $_} .= $_ for qw(a bb cc d eee); print "$_ $h{$_}\\n" for sort keys %h'),
  perl("fork and wait", 'for (1..5) { my $p = fork; if (!$p) { exit $_ } waitpid $p, 0; print $? >> 8, "\\n" }'),
  perl(
    "pipes and signals",
    '$SIG{ALRM} = sub { print "alarm\\n" }; alarm 1; pipe R, W; my $r = sysread R, my $b, 1; print defined $r ? "read" : $!+0, "\\n"; print `echo back`'
  ),
  perl(
    "files",
    'open my $f, ">", "x"; print $f "line $_\\n" for 1..1000; close $f; print -s "x", "\\n"; open $f, "<", "x"; my @l = <$f>; print scalar @l, "\\n"; exit 3'
  ),
  python("hello", "print('hello', 6 * 7)"),
  python(
    "imports",
    "import json, re, os, sys, hashlib, decimal; print(json.dumps({'a': [1, 2.5, None]}), hashlib.sha256(b'x').hexdigest())"
  ),
  python("exit status and traceback", "import sys; sys.exit(5)"),
  python(
    "threads",
    `
import threading, queue
q = queue.Queue(); out = []
def work():
    while (i := q.get()) is not None: out.append(i * i)
ts = [threading.Thread(target=work) for _ in range(8)]
for t in ts: t.start()
for i in range(500): q.put(i)
for _ in ts: q.put(None)
for t in ts: t.join()
print(sum(out), threading.active_count())
e = threading.Event(); print(e.wait(0.05))
`
  ),
  python(
    "subprocess",
    `
import subprocess
print(subprocess.run(['sh', '-c', 'cat; echo err >&2; exit 3'], input=b'in', capture_output=True))
p = subprocess.Popen(['sleep', '10']); p.terminate(); print(p.wait())
try: subprocess.run(['sleep', '10'], timeout=0.2)
except subprocess.TimeoutExpired: print('timeout')
try: subprocess.run(['/no/such'])
except FileNotFoundError as e: print(e.errno)
print(subprocess.check_output('seq 5 | tac', shell=True))
`
  ),
  python(
    "multiprocessing",
    `
import multiprocessing as m
def f(x): return x * x
if __name__ == '__main__':
    m.set_start_method('fork')
    with m.Pool(3) as p: print(p.map(f, range(20)))
    q = m.Queue(); ps = [m.Process(target=q.put, args=(i,)) for i in range(4)]
    [p.start() for p in ps]; print(sorted(q.get() for _ in ps)); [p.join() for p in ps]; print([p.exitcode for p in ps])
    v = m.Value('i', 0)
`
  ),
  python(
    "asyncio",
    `
import asyncio
async def w(i):
    await asyncio.sleep(0.01 * i); return i
async def main():
    print(await asyncio.gather(*[w(i) for i in range(10)]))
    p = await asyncio.create_subprocess_exec('echo', 'sub', stdout=asyncio.subprocess.PIPE)
    print(await p.communicate(), p.returncode)
asyncio.run(main())
`
  ),
  python(
    "signals",
    `
import signal, os, time
signal.signal(signal.SIGUSR1, lambda s, f: print('usr1'))
os.kill(os.getpid(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 0.05); signal.signal(signal.SIGALRM, lambda s, f: print('alarm'))
time.sleep(0.3); print(signal.sigtimedwait([], 0))
os.kill(os.getpid(), signal.SIGKILL)
`
  ),
  python(
    "files and mmap",
    `
import os, mmap, tempfile, pathlib, shutil
with tempfile.TemporaryFile() as f:
    f.write(b'x' * 100000); f.flush(); m = mmap.mmap(f.fileno(), 0); m[5:8] = b'abc'; m.flush(); f.seek(4); print(f.read(5))
p = pathlib.Path('d/e'); p.mkdir(parents=True); (p / 'f').write_text('text'); print(sorted(map(str, pathlib.Path('.').rglob('*'))))
shutil.copytree('d', 'g'); os.rename('g', 'h'); print(os.listdir('h'), os.stat('h/e/f').st_size); shutil.rmtree('h')
print(os.path.exists('h'), os.access('d', os.W_OK))
`
  ),
  python(
    "sockets of one machine",
    `
import socket, threading, os
s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen()
def serve():
    c, _ = s.accept(); c.sendall(c.recv(100).upper()); c.close()
t = threading.Thread(target=serve); t.start()
c = socket.socket(socket.AF_UNIX); c.connect('s'); c.sendall(b'hello'); print(c.recv(100)); t.join()
a, b = socket.socketpair(); socket.send_fds(a, [b'x'], [1]); print(len(socket.recv_fds(b, 10, 1)[1]))
`
  ),
  node("hello", "console.log('hello', process.version.split('.').length, process.argv.length)"),
  node(
    "timers",
    "setTimeout(() => console.log('b'), 500); setImmediate(() => console.log('a')); process.nextTick(() => console.log('0'))"
  ),
  node(
    "fs",
    `const fs = require('fs'); fs.mkdirSync('d/e', { recursive: true }); fs.writeFileSync('d/e/f', 'x'.repeat(1e6));
     console.log(fs.statSync('d/e/f').size, fs.readdirSync('d', { recursive: true }));
     fs.promises.readFile('d/e/f').then((b) => console.log(b.length)); try { fs.openSync('no') } catch (e) { console.log(e.code) }
     fs.createReadStream('d/e/f').on('data', () => {}).on('end', () => { fs.rmSync('d', { recursive: true }); console.log(fs.existsSync('d')) })`
  ),
  node(
    "child_process",
    `const { spawnSync, spawn, execFile } = require('child_process');
     console.log(spawnSync('sh', ['-c', 'echo out; echo err >&2; exit 3']).status);
     const c = spawn('cat'); c.stdout.on('data', (d) => console.log(String(d))); c.stdin.end('through cat');
     c.on('close', (code) => { console.log(code); const s = spawn('sleep', ['10']); s.on('exit', (c, sig) => console.log(c, sig)); s.kill() });`
  ),
  node(
    "worker threads",
    `const { Worker, isMainThread, parentPort } = require('worker_threads');
     const code = "const { parentPort, workerData } = require('worker_threads'); parentPort.postMessage(workerData * 2)";
     Promise.all([1, 2, 3].map((i) => new Promise((r) => new Worker(code, { eval: true, workerData: i }).on('message', r)))).then((x) => console.log(x))`
  ),
  node(
    "an uncaught error",
    "process.on('exit', (c) => console.log('exit', c)); setTimeout(() => { process.exitCode = 7 }, 5)"
  ),
  node(
    "work for the garbage collector",
    "let a = []; for (let i = 0; i < 300000; i++) { a.push({ i }); if (a.length > 5000) a = [] } console.log(a.length)"
  ),
  {
    name: "awk",
    line: "awk -F: '{ n[$NF]++ } END { for (s in n) print s, n[s] }' /etc/passwd | sort; awk 'BEGIN { while ((\"seq 3\" | getline x) > 0) print x * 2; print substr(\"hello\", 2, 3); exit 4 }'; echo $?"
  },
  { name: "sed", line: "seq 20 | sed -n '5,7p;$p;s/1\\([0-9]\\)/<\\1>/gp'; echo abc > f; sed -i 's/b/B/' f; cat f; ls" }
]

const PROJECT = `
cat > main.c <<'X'
#include <stdio.h>
#include "lib.h"
int main(int argc, char **argv) { printf("%d %d %s\\n", add(2, 3), twice(argc), GREETING); return add(1, 1); }
X
cat > lib.h <<'X'
#define GREETING "built"
int add(int, int); int twice(int);
X
echo '#include "lib.h"
int add(int a, int b) { return a + b; }' > add.c
echo '#include "lib.h"
int twice(int a) { return 2 * a; }' > twice.c
cat > Makefile <<'X'
OBJECTS = main.o add.o twice.o
app: $(OBJECTS)
	gcc -o $@ $^
%.o: %.c lib.h
	gcc -O1 -c $<
clean:
	rm -f app $(OBJECTS)
X
`

/**
 * At a terminal: types each step's keys and waits for its pattern; the whole transcript is what is compared. The driver
 * and its pseudoterminal are in the sandbox too.
 */
const DRIVER = `import json, os, pty, re, select, sys, time
argv, steps = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0: os.execvp(argv[0], argv)
text, at = b"", 0
for keys, pattern in steps:
    time.sleep(0.2 if keys[:1] in ("\\x03", "\\x1a") else 0)
    os.write(fd, keys.encode())
    end = time.monotonic() + 15
    while not re.search(pattern.encode(), text[at:]) and select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
        try: text += os.read(fd, 65536)
        except OSError: break
    at = len(text)
while select.select([fd], [], [], 15)[0]:
    try: text += os.read(fd, 65536)
    except OSError: break
print(re.sub(r"pts/[0-9]+", "pts/N", re.sub(r"\\] [0-9]+", "] PID", text.decode())))
print(os.waitpid(pid, 0)[1])`

const BASH = ["env", "TERM=dumb", "PS1=P> ", "bash", "--norc", "--noprofile", "--noediting", "-i"]

const terminal = (
  name: string,
  argv: ReadonlyArray<string>,
  steps: ReadonlyArray<readonly [keys: string, pattern: string]>,
  needs: ReadonlyArray<string> = []
): Command => ({
  name: `at a terminal: ${name}`,
  line: [PYTHON, "-c", DRIVER, JSON.stringify([argv, steps])],
  needs: [PYTHON, ...needs]
})

const PROMPT = "P> $"
const terminals: ReadonlyArray<Command> = [
  terminal("stty", BASH, [
    ["", PROMPT],
    ["stty -a; tty; stty rows 30 cols 90; stty size\r", `30 90\\s+${PROMPT}`],
    ["stty raw -echo min 0 time 3; dd bs=1 count=1 2>/dev/null | wc -c; stty sane; stty -a\r", `extproc\\s+${PROMPT}`],
    ["exit 3\r", "exit"]
  ]),
  terminal("stopping and continuing", BASH, [
    ["", PROMPT],
    ["sleep 100\r", "sleep 100"],
    ["\x1a", `Stopped[^>]*${PROMPT}`],
    ["jobs\r", `Stopped[^>]*${PROMPT}`],
    ["bg\r", PROMPT],
    ["fg\r", "sleep 100\\s"],
    ["\x03", PROMPT],
    ["echo $?\r", `130\\s+${PROMPT}`],
    ["(trap 'echo got' INT; sleep 100); echo after\r", "after\\s"],
    ["\x03", `after\\s+${PROMPT}`],
    ["sleep 50 | cat\r", "cat\\s"],
    ["\x03", PROMPT],
    ["exit\r", "exit"]
  ]),
  terminal("background jobs that want the terminal", BASH, [
    ["", PROMPT],
    ["cat & sleep 0.5\r", `sleep[^>]*${PROMPT}`],
    ["jobs\r", `Stopped[^>]*${PROMPT}`],
    ["fg\r", "cat\\s+$"],
    ["hello\r", "hello\\s+hello\\s"],
    ["\x04", PROMPT],
    ["stty tostop; (echo out) & sleep 0.5\r", `sleep[^>]*${PROMPT}`],
    ["jobs\r", `Stopped[^>]*${PROMPT}`],
    ["fg\r", `out\\s+${PROMPT}`],
    ["exit\r", "exit"]
  ]),
  terminal(
    "tmux",
    BASH,
    [
      ["", PROMPT],
      ["unset TMUX; export TMUX_TMPDIR=$(mktemp -d); alias t='tmux -L x -f /dev/null'\r", PROMPT],
      ["t new-session -d -x 60 -y 10 'PS1=Q bash --norc --noprofile'; echo $?\r", `0\\s+${PROMPT}`],
      [
        "t send-keys 'clear; seq 3; tty; stty size; exec sleep 100' Enter; sleep 1; t capture-pane -p\r",
        `size[^P]*${PROMPT}`
      ],
      ["t split-window 'sleep 100'; t list-panes\r", `active[^P]*${PROMPT}`],
      ["t kill-server; echo $?; rm -r $TMUX_TMPDIR\r", `\\s0\\s+${PROMPT}`],
      ["exit\r", "exit"]
    ],
    ["tmux"]
  ),
  terminal(
    "less",
    ["env", "TERM=xterm", "LESSHISTFILE=-", "less", "/etc/services"],
    [
      ["", "services"],
      ["q", "1049l"]
    ],
    ["less"]
  )
]

/** Exceptions that leave the handlers of faults, on the stack of the fault and on another. */
const THROWING_HANDLERS = `cat > t.cpp <<'X'
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
struct Guard { int *c; ~Guard() { ++*c; } };
static void thrower(int s, siginfo_t *i, void *) { throw std::runtime_error("signal " + std::to_string(s) + " code " + std::to_string(i->si_code)); }
static void nested(int s, siginfo_t *, void *) { try { throw s; } catch (int x) { std::printf("inside %d\\n", x); } }
static int unwound;
__attribute__((noinline)) static int fault(volatile int *p) { Guard g{&unwound}; return *p + 1; }
__attribute__((noinline)) static int divide(volatile int a, volatile int b) { Guard g{&unwound}; return a / b; }
__attribute__((noinline)) static void trap() { Guard g{&unwound}; __asm__ volatile("ud2"); }
static void install(int s, void (*h)(int, siginfo_t *, void *), int f) { struct sigaction a = {}; a.sa_sigaction = h; a.sa_flags = SA_SIGINFO | f; sigaction(s, &a, nullptr); }
template <class F> static void attempt(const char *n, F f) { try { f(); std::printf("%s: nothing\\n", n); } catch (const std::exception &e) { std::printf("%s: %s\\n", n, e.what()); } }
int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  static char stack[65536];
  stack_t alt = {stack, 0, sizeof stack}; sigaltstack(&alt, nullptr);
  for (int round = 0; round < 2; round++) {
    int f = SA_NODEFER | (round ? SA_ONSTACK : 0);
    install(SIGSEGV, thrower, f); install(SIGFPE, thrower, f); install(SIGILL, thrower, f); install(SIGBUS, thrower, f); install(SIGUSR1, nested, f);
    attempt("null", [] { fault(nullptr); });
    attempt("divide", [] { divide(1, 0); });
    attempt("ud2", [] { trap(); });
    int fd = memfd_create("x", 0); auto m = (volatile int *)mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0); close(fd);
    attempt("beyond the file", [=] { fault(m); });
    int caught = 0;
    for (int i = 0; i < 1000; i++) try { fault(nullptr); } catch (const std::runtime_error &) { caught++; }
    std::printf("caught %d\\n", caught);
    raise(SIGUSR1);
    std::printf("unwound %d\\n", unwound);
  }
  // nothing on the way says that it throws
  std::set_terminate([] { std::puts("terminate"); std::abort(); });
  install(SIGUSR2, thrower, 0);
  raise(SIGUSR2);
}
X
g++ -O1 -fnon-call-exceptions -o t t.cpp && bash -c './t; echo $?' 2>/dev/null`

const programs: ReadonlyArray<Command> = [
  {
    name: "stress-ng, which verifies signals, processes and timers",
    line: `stress-ng --quiet --verify --timeout 2 --signal 1 --sigq 1 --sigsuspend 1 --sigchld 1 --fork 1 --vfork 1 \
      --clone 1 --futex 1 --schedpolicy 1 --timer 1 --itimer 1 --wait 1; echo $?`,
    needs: ["stress-ng"]
  },
  {
    name: "make and gcc build a project",
    line: `${PROJECT} make && ./app; echo $?; touch lib.h; make -j2 | sort; make; make clean; ls`,
    needs: ["gcc", "make"]
  },
  {
    name: "gcc reports an error",
    line: "echo 'int main(void) { return x; }' > e.c; LANG=C gcc e.c; echo $?; ls",
    needs: ["gcc"]
  },
  {
    name: "git",
    needs: ["git"],
    line: `
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_CONFIG_GLOBAL=/dev/null
git init -q -b main r && cd r && git config user.name N && git config user.email e@example.org
echo one > a; git add a; git commit -qm first; echo two >> a; mkdir d; echo x > d/b; git status --short; git add -A; git commit -qm second
git log --format='%H %s'; git diff HEAD~ --stat; git checkout -qb side HEAD~; echo z > c; git add c; git commit -qm third
git merge -q main -m merge; git log --oneline --graph; git fsck --strict 2>&1; git gc -q; git cat-file -p HEAD; git grep two`
  },
  {
    name: "sqlite3",
    needs: ["sqlite3"],
    line: `sqlite3 db <<'X'
pragma journal_mode=wal;
create table t (id integer primary key, name text); begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000) insert into t select i, 'name ' || i from n;
commit; create index x on t (name); select count(*), sum(id), max(name) from t; delete from t where id % 3 = 0;
select count(*) from t; select name from t where id between 10 and 15; vacuum; pragma integrity_check;
X
sqlite3 db 'select count(*) from t'; sqlite3 db 'select nonsense'; echo $?`
  },
  {
    name: "two sqlite3 at once",
    needs: ["sqlite3"],
    line: "sqlite3 db 'create table t (x)'; for i in 1 2 3; do sqlite3 -cmd '.timeout 5000' db \"insert into t values ($i)\" & done; wait; sqlite3 db 'select sum(x) from t'"
  },
  {
    name: "C++ exceptions thrown by signal handlers",
    needs: ["g++"],
    line: THROWING_HANDLERS
  },
  {
    name: "strace-free dynamic linking",
    line: "LD_DEBUG=statistics /bin/true 2>&1 | grep -c relocation; LD_BIND_NOW=1 /bin/true; echo $?"
  }
]

/** A script for gdb, and what differs from one run to the next taken out of what it says. */
const GDB = `
gdb_script() { printf '%s\\n' 'set pagination off' 'set confirm off' 'set debuginfod enabled off' "$@" > script; }
without_numbers() { sed -E 's/0x[0-9a-f]+/ADDR/g; s/(LWP|process) [0-9]+/\\1 N/g; s/ +/ /g'; }
`

/** A program for debuggers. */
const DEBUGGEE = `cat > t.c <<'X'
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int counter;
int add(int a, int b) {
  counter += a;
  return a + b;
}
int main(void) {
  int s = 0;
  for (int i = 0; i < 4; i++)
    s = add(s, i);
  char *text = malloc(10);
  strcpy(text, "hello");
  puts(text);
  free(text);
  fflush(stdout);
  if (fork() == 0) {
    add(7, 8);
    _exit(3);
  }
  int status;
  wait(&status);
  raise(SIGUSR1);
  return s;
}
X
gcc -g -O0 -no-pie -o t t.c || exit
${GDB} gdb_session() { gdb_script "$@"; gdb -q -nx -batch -x script ./t 2>&1 | without_numbers; }
`

/** What a debugger attaches to: threads that wait, the first of them for a byte from the FIFO. */
const ATTACHABLE = `cat > t.c <<'X'
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
int counter;
int add(int a) {
  counter += a;
  return counter;
}
void *wait_for_ever(void *unused) {
  for (;;) pause();
  return unused;
}
int main(void) {
  pthread_t thread;
  char byte;
  for (int i = 0; i < 2; i++) pthread_create(&thread, 0, wait_for_ever, 0);
  puts("ready");
  fflush(stdout);
  read(0, &byte, 1);
  add(3);
  add(4);
  printf("counter %d\\n", counter);
  return 3;
}
X
gcc -g -O0 -no-pie -pthread -o t t.c || exit
mkfifo fifo; exec 7<> fifo; ./t < fifo > out & pid=$!
until grep -qs ready out; do sleep 0.1; done
${GDB} gdb_attached() { gdb_script "$@"; gdb -q -nx -batch -p $pid -x script 2>&1 | without_numbers; }
`

/** A program of three threads that leaves a core file, and what gdb says of it. */
const CORE = `cat > t.c <<'X'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
struct pair { int a; const char *b; } global = {42, "kept"};
pthread_barrier_t barrier;
pthread_t threads[2];
void *sleeps(void *argument) {
  int mine = *(int *)argument;
  pthread_barrier_wait(&barrier);
  for (;;) pause();
  return (void *)(long)mine;
}
void *spins(void *argument) {
  volatile int turns = *(int *)argument;
  pthread_barrier_wait(&barrier);
  for (;;) turns |= 4;
}
int crash(struct pair *where, double x) {
  int *nowhere = (int *)(long)(where->a - 38);
  *nowhere = (int)x;
  return where->a;
}
int main(void) {
  int numbers[2] = {11, 12};
  pthread_barrier_init(&barrier, 0, 3);
  pthread_create(&threads[0], 0, sleeps, &numbers[0]);
  pthread_create(&threads[1], 0, spins, &numbers[1]);
  pthread_barrier_wait(&barrier);
  usleep(100000);
  return crash(&global, 1.5);
}
X
gcc -g -O0 -no-pie -pthread -o t t.c || exit
${GDB} gdb_core() { gdb_script "$@"; gdb -q -nx -batch -x script ./t core 2>&1 | without_numbers; }
ulimit -c unlimited; bash -c './t; echo $?' 2>/dev/null
`

/** gdb reads and runs a good deal before it says anything. */
const GDB_TIMEOUT = 100_000

const coreReaders: ReadonlyArray<Command> = [
  {
    name: "gdb: reads the core file of a program of three threads",
    needs: ["gdb", "gcc"],
    timeout: GDB_TIMEOUT,
    line: `${CORE} gdb_core bt 'info locals' 'print *where' 'print $_siginfo' 'info registers rax rip eflags cs ss ds orig_rax' 'print $xmm0.v2_double[0]' up 'info locals' \
        'info proc' 'info proc mappings' 'info auxv' 'info files' 'echo threads\\n' 'thread apply all backtrace -frame-arguments scalars' > out
      sed '/^threads/,$d' out | grep -vE 'New LWP|zero|is load|DSO|^(27|28|33|51) '
      sed '1,/^threads/d; s/ADDR in spins/spins/' out | grep -E '(main|sleeps|spins|crash|pause) \\(' | sort`
  },
  {
    name: "the shell and strace say that a program dumped core",
    needs: ["gcc", "strace"],
    line: `${CORE} rm core; bash -c 'strace -f -e trace=none -e signal=none -o log ./t; true' 2>/dev/null; sed -E 's/^[0-9]+ //' log | sort | uniq -c; ls core; bash -c './t; true' 2>&1 | sed -E 's/ +[0-9]+ / N /'`
  }
]

const debuggers: ReadonlyArray<Command> = [
  {
    name: "strace -f of a pipeline",
    needs: ["strace"],
    line: `strace -ff -qq -e trace=execve,pipe2,dup2,exit_group,kill -o log sh -c 'echo one two | tr a-z A-Z | wc -w; (exit 3); kill -TERM $$'; echo $?
      cat log.* | sed -E 's/0x[0-9a-f]+/ADDR/g; s/si_pid=[0-9]+/si_pid=N/; s/si_(u|s)time=[^,}]*/si_\\1time=T/g; s/kill\\([0-9]+/kill(N/; s/[0-9]+ vars/N vars/; s/ +/ /g' | sort`
  },
  {
    name: "strace of a fault that it injects",
    needs: ["strace"],
    line: "strace -qq -o log -e trace=read -e inject=openat:error=ENOMEM:when=3 cat /etc/passwd | head -c 5; echo; strace -c -o log true; echo $?"
  },
  {
    name: "gdb: breakpoint, backtrace, step, finish, a call",
    needs: ["gdb", "gcc"],
    timeout: GDB_TIMEOUT,
    line: `${DEBUGGEE} gdb_session 'break add' run bt 'info args' 'print counter' next step 'info locals' finish delete 'print add(3, 4)' 'print counter' 'info registers cs ss' continue`
  },
  {
    name: "gdb: watchpoint in software, conditional breakpoint, catch syscall",
    needs: ["gdb", "gcc"],
    timeout: GDB_TIMEOUT,
    line: `${DEBUGGEE} gdb_session 'set can-use-hw-watchpoints 0' 'break add if a == 1' run 'watch counter' continue continue delete 'catch syscall exit_group' continue 'print $orig_rax' continue`
  },
  {
    name: "gdb: watchpoint and breakpoint of the processor",
    needs: ["gdb", "gcc"],
    timeout: GDB_TIMEOUT,
    line: `${DEBUGGEE} gdb_session 'break main' run 'watch counter' 'rwatch status' 'thbreak add' continue continue 'info watchpoints' continue delete continue`
  },
  {
    name: "gdb: writes a core file and reads it",
    needs: ["gdb", "gcc"],
    timeout: GDB_TIMEOUT,
    line: `${DEBUGGEE} gdb_session 'break add if a == 3' run 'generate-core-file core.t' kill | grep -v '^warning: Memory read failed'
      gdb -q -nx -batch -ex 'set debuginfod enabled off' -ex bt -ex 'print counter' ./t core.t 2>&1 | grep -E '^#|^.1'`
  },
  ...(DUMPS_CORE ? coreReaders : []),
  {
    name: "gdb: follows a fork, handles a signal",
    needs: ["gdb", "gcc"],
    timeout: GDB_TIMEOUT,
    line: `${DEBUGGEE} gdb_session 'set follow-fork-mode child' 'break add if a == 7' run 'info args' continue
      gdb_session 'handle SIGUSR1 stop print nopass' run 'print $_siginfo.si_signo' continue`
  },
  {
    name: "gdb attaches",
    needs: ["gdb", "gcc"],
    timeout: GDB_TIMEOUT,
    line: `${DEBUGGEE} sleep 100 & pid=$!; sleep 0.5
      gdb -q -nx -batch -p $pid -ex 'set debuginfod enabled off' -ex 'print $orig_rax' -ex detach 2>&1 | grep -c -E '^.1 = 230|Inferior 1'; kill $pid; wait $pid; echo $?`
  },
  {
    name: "gdb attaches to threads, steps, stops at a breakpoint, detaches",
    needs: ["gdb", "gcc"],
    timeout: GDB_TIMEOUT,
    line: `${ATTACHABLE} gdb_attached 'info threads' 'thread apply all bt' 'break add' 'shell echo >&7' continue bt 'info args' \\
      step next 'print counter' delete finish 'info threads' detach; wait $pid; echo $?; cat out`
  },
  {
    name: "setpriv",
    needs: ["setpriv"],
    line: "setpriv --reuid 1000 --regid 1000 --clear-groups --no-new-privs --bounding-set -all setpriv --dump; setpriv --inh-caps -all --pdeathsig TERM id"
  },
  {
    name: "ltrace",
    needs: ["ltrace", "gcc"],
    line: `${DEBUGGEE} ltrace -e malloc+strcpy+puts+free -o log ./t; echo $?; sed -E 's/0x[0-9a-f]+/ADDR/g; s/ +/ /g' log`
  }
]

for (const platform of PLATFORMS) {
  describe.concurrent(`commands on ${platform.name}`, () => {
    for (const command of [
      ...tools,
      ...containers,
      ...shells,
      ...applets,
      ...interpreters,
      ...terminals,
      ...programs,
      ...debuggers
    ]) {
      const missing = (command.needs ?? []).filter((program) => !isInstalled(program))
      if (missing.length > 0) {
        test.skip(`${command.name} (not installed: ${missing.join(", ")})`)
        continue
      }
      const { line, stdin, timeout } = command
      test(command.name, { ...(timeout === undefined ? {} : { timeout: 2 * timeout }) }, () =>
        expectSame(platform, typeof line === "string" ? ["bash", "-c", line] : line, {
          ...(stdin === undefined ? {} : { stdin }),
          ...(timeout === undefined ? {} : { timeout })
        })
      )
    }
  })
}
