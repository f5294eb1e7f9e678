// The installation that a browser is put in front of, asked without the browser: what a page says is compared with
// what the API says here. Who answers is proven with the installation's own authority.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { connect } from 'node:tls';

export class Installation {
  #authority;
  #cookie;

  constructor(address, authority) {
    this.origin = new URL(address).origin;
    this.#authority = authority;
  }

  /** The one at an address, whose authority's certificate is in a file. */
  static async at(address, authorityFile) {
    return new Installation(address, await readFile(authorityFile));
  }

  /**
   * The digest of the key that it serves with, as Chromium is told whom to trust: its certificate was proven here, and
   * a browser that gets another key refuses it.
   */
  provenKey() {
    const { hostname, port } = new URL(this.origin);
    return new Promise((found, failed) => {
      const socket = connect({ host: hostname, port: port || 443, ca: this.#authority }, () => {
        const key = socket.getPeerX509Certificate().publicKey.export({ type: 'spki', format: 'der' });
        socket.end();
        found(createHash('sha256').update(key).digest('base64'));
      });
      socket.setTimeout(30_000, () => socket.destroy(new Error(`${this.origin} does not answer`)));
      socket.on('error', failed);
    });
  }

  /** What is answered, whatever it is, to the session or to whom else `authorization` says. */
  ask(method, path, document, authorization) {
    const text = document === undefined ? '' : JSON.stringify(document);
    const headers = {
      ...(authorization ? { authorization } : this.#cookie ? { cookie: this.#cookie } : {}),
      ...(method === 'GET' ? {} : { 'content-type': 'application/json', 'x-bcdr-request': '1' }),
    };
    return new Promise((answered, failed) => {
      const sent = request(
        `${this.origin}${path}`,
        { method, headers, ca: this.#authority, timeout: 30_000 },
        (answer) => {
          const parts = [];
          answer.on('data', (part) => parts.push(part));
          answer.on('error', failed);
          answer.on('end', () => {
            const body = Buffer.concat(parts).toString('utf8');
            const json = /json/.test(answer.headers['content-type'] ?? '') && body !== '';
            answered({
              status: answer.statusCode,
              headers: answer.headers,
              body: json ? JSON.parse(body) : body,
            });
          });
        },
      );
      sent.on('timeout', () => sent.destroy(new Error(`${method} ${path} is not answered`)));
      sent.on('error', failed);
      sent.end(text);
    });
  }

  /** What is at a path of the API; anything but success is an error. */
  async get(path) {
    const { status, body } = await this.ask('GET', `/api/v1/${path}`);
    if (status !== 200) throw new Error(`GET ${path} was answered ${status}: ${JSON.stringify(body)}`);
    return body;
  }

  /** The newest of a list, or nothing. */
  async newest(list) {
    return (await this.get(`${list}?limit=1`)).items[0];
  }

  /** Whether the first administrator is still to be made. */
  async isNew() {
    return (await this.get('setup')).required;
  }

  /** A session of its own, beside the browser's. */
  async signIn(name, password) {
    const { status, headers, body } = await this.ask('POST', '/api/v1/session', { name, password });
    if (status >= 300) throw new Error(`${name} cannot sign in: ${status} ${JSON.stringify(body)}`);
    this.#cookie = headers['set-cookie'].map((one) => one.split(';')[0]).join('; ');
  }

  async signOut() {
    if (this.#cookie) await this.ask('DELETE', '/api/v1/session');
    this.#cookie = undefined;
  }
}
