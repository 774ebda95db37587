'use strict'
// Measures our createDB() and mysql-memory-server's with the same server binary, in turn: seconds until the first query,
// and to the end. Called by scripts/bench-blink. Usage: measure.js BLINK CACHE RELEASE ROUNDS

const { performance } = require('node:perf_hooks')
const mysql = require('mysql2/promise')
const ours = require('../node')
const theirs = require('mysql-memory-server')

const [executable, cache, release, rounds] = process.argv.slice(2)

async function measure (createDB, options) {
  const begin = performance.now()
  const db = await createDB(options)
  const connection = await mysql.createConnection({
    host: '127.0.0.1', port: db.port, user: db.username, password: db.password
  })
  await connection.query('SELECT 1')
  const first = performance.now() - begin
  await connection.end()
  await db.stop()
  return [first / 1000, (performance.now() - begin) / 1000]
}

const median = numbers => {
  const sorted = [...numbers].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

async function main () {
  const found = [[], [], [], []]
  for (let round = 0; round < Number(rounds); round++) {
    const one = await measure(ours.createDB, { executable, cache, version: release })
    const other = await measure(theirs.createDB, { logLevel: 'ERROR' })
    for (const [index, value] of [...one, ...other].entries()) found[index].push(value)
  }
  console.log(found.map(numbers => median(numbers).toFixed(3)).join(' '))
}

main()
