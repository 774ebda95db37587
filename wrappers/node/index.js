'use strict'
// A MySQL or MariaDB server that the executable `blink` starts. All the work is the executable's.

const { spawn } = require('node:child_process')
const { createInterface } = require('node:readline')

/** The command line for `options`. */
function words (options) {
  const command = ['--json', '--until-eof']
  for (const name of ['init', 'seed', 'cache', 'dir']) {
    if (options[name]) command.push(`--${name}`, options[name])
  }
  if (options.durable) command.push('--durable')
  if (options.version) command.push(options.version)
  return command
}

/**
 * Starts a server and resolves once it answers: `port`, `socket`, `username`, `password`, `dbName`, `url`,
 * `mysql.version`, and `stop()`. What takes long, or fails, blink tells on stderr.
 */
async function createDB (options = {}) {
  const executable = options.executable ?? 'blink'
  // Its standard input ends when we do, by whatever, and then so does it.
  const child = spawn(executable, words(options), { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = new Promise((resolve, reject) => {
    child.once('error', error => reject(new Error(`cannot run ${executable}`, { cause: error })))
    child.once('close', (status, signal) => resolve(signal ?? status))
  })
  // Told by the race below; later nobody may be waiting any more.
  ended.catch(() => {})
  const line = new Promise(resolve => createInterface({ input: child.stdout }).once('line', resolve))
  const first = await Promise.race([line, ended.then(status => ({ status }))])
  if (typeof first !== 'string') {
    throw new Error(`${executable} ended with ${first.status}, and told why on stderr`)
  }
  const server = JSON.parse(first)
  // A server that nobody stops must not keep the program alive.
  for (const handle of [child, child.stdin, child.stdout]) handle.unref()
  return {
    host: server.host,
    port: server.port,
    socket: server.socket,
    username: server.user,
    password: server.password,
    dbName: server.database,
    url: server.url,
    mysql: { version: server.server.split(' ').pop(), name: server.server },
    stop: async () => {
      child.ref()
      child.stdin.end()
      await ended
    }
  }
}

module.exports = { createDB }
