/**
 * Which file a command name means, by the rules of execvp(3): a name with a slash is a path, any other is tried in each
 * directory of PATH. Pure; whoever calls tries the candidates.
 */
import { EACCES, ENODEV, ENOENT, ENOTDIR, ESTALE, ETIMEDOUT } from "../Abi/Errno.ts"

/** glibc's confstr(_CS_PATH): what execvp(3) uses when there is no PATH. */
export const DEFAULT_PATH = "/bin:/usr/bin"

/** PATH in a list of "NAME=value"; the first one counts, as getenv(3) has it. */
export const pathOf = (envp: ReadonlyArray<string>): string =>
  envp.find((one) => one.startsWith("PATH="))?.slice("PATH=".length) ?? DEFAULT_PATH

/** The paths to try, in order. */
export const candidates = (command: string, path: string): ReadonlyArray<string> => {
  if (command.includes("/")) return [command]
  // an empty entry is the working directory
  return path.split(":").map((directory) => (directory === "" ? command : `${directory}/${command}`))
}

const GO_ON = new Set([ENOENT, ENOTDIR, ESTALE, ENODEV, ETIMEDOUT, EACCES])

/** Whether execve(2)'s errno (positive) for one candidate sends execvp(3) to the next one. */
export const goesOn = (errno: number): boolean => GO_ON.has(errno)

/** What execvp(3) fails with when the candidates are used up: EACCES if that was met on the way. */
export const finalErrno = (met: ReadonlyArray<number>): number =>
  met.includes(EACCES) ? EACCES : (met.at(-1) ?? ENOENT)
