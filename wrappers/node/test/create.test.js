'use strict'
// createDB() with a real server. Run by scripts/test-wrappers.

const assert = require('node:assert/strict')
const { spawn } = require('node:child_process')
const { existsSync, mkdtempSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { setTimeout: sleep } = require('node:timers/promises')
const test = require('node:test')

const mysql = require('mysql2/promise')
const { createDB } = require('..')

const { BLINK, BLINK_CACHE, BLINK_RELEASE } = process.env
const options = { executable: BLINK, cache: BLINK_CACHE, version: BLINK_RELEASE }

async function first (db, query) {
  const connection = await mysql.createConnection({ uri: db.url })
  try {
    const [rows] = await connection.query({ sql: query, rowsAsArray: true })
    return rows[0][0]
  } finally {
    await connection.end()
  }
}

async function until (isSo) {
  for (let tries = 0; !isSo(); tries++) {
    assert.ok(tries < 3000, 'waited too long')
    await sleep(20)
  }
}

test('a database answers until it is stopped', async () => {
  const db = await createDB(options)
  const version = await first(db, 'SELECT VERSION()')
  assert.ok(version.startsWith(db.mysql.version), version)
  assert.equal(await first(db, 'SELECT DATABASE()'), db.dbName)
  assert.ok(existsSync(db.socket))
  await db.stop()
  assert.ok(!existsSync(db.socket))
  await assert.rejects(first(db, 'SELECT 1'))
})

test('two at once never meet', async () => {
  const [one, two] = await Promise.all([createDB(options), createDB(options)])
  assert.notEqual(one.port, two.port)
  assert.notEqual(one.password, two.password)
  await Promise.all([one.stop(), two.stop()])
})

test('first-run files are there', async () => {
  const init = join(mkdtempSync(join(tmpdir(), 'blink-')), 'schema.sql')
  writeFileSync(init, 'CREATE TABLE t (i INT); INSERT INTO t VALUES (3);')
  const db = await createDB({ ...options, init })
  assert.equal(await first(db, 'SELECT i FROM t'), 3)
  await db.stop()
})

test('what fails is told', async () => {
  const missing = createDB({ ...options, executable: '/nowhere/blink' })
  await assert.rejects(missing, { message: 'cannot run /nowhere/blink' })
  const text = `${BLINK} ended with 1, and told why on stderr`
  await assert.rejects(createDB({ ...options, version: '/nowhere.tar.gz' }), { message: text })
})

test('a killed program leaves no server, and one that ends by itself neither', async () => {
  const script = rest => `require(${JSON.stringify(join(__dirname, '..'))})
    .createDB(${JSON.stringify(options)}).then(db => { console.log(db.socket); ${rest} })`
  for (const [rest, isKilled] of [['setTimeout(() => {}, 1e6)', true], ['', false]]) {
    const child = spawn(process.execPath, ['-e', script(rest)], { stdio: ['ignore', 'pipe', 'inherit'] })
    const closed = new Promise(resolve => child.once('close', resolve))
    const socket = (await new Promise(resolve => child.stdout.once('data', resolve))).toString().trim()
    if (isKilled) child.kill('SIGKILL')
    await closed
    await until(() => !existsSync(socket))
  }
})
