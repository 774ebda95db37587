export interface Options {
  /** A version (`8.4`, `mariadb-11.4`), a tarball, a directory; else what was unpacked last. */
  version?: string
  /** An SQL file, or a directory of them, that the database begins with. */
  init?: string
  /** What `blink --save` kept, to begin with. */
  seed?: string
  /** On the disk, with everything that makes data last. */
  durable?: boolean
  /** Where blink keeps releases and seeds. */
  cache?: string
  /** Where the data is, instead of in memory. */
  dir?: string
  /** The executable, instead of the `blink` in `PATH`. */
  executable?: string
}

export interface Database {
  host: string
  port: number
  socket: string
  username: string
  password: string
  dbName: string
  /** `mysql://root:PASSWORD@127.0.0.1:PORT/test` */
  url: string
  mysql: { version: string, name: string }
  /** Ends the server; its data is gone. */
  stop: () => Promise<void>
}

export function createDB (options?: Options): Promise<Database>
