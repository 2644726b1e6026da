/** The typed client, and how its errors reach the page. */

import createClient, { type Middleware } from 'openapi-fetch';
import type { components, paths } from './schema';

type Schemas = components['schemas'];
export type Stream = Schemas['Stream'];
export type StreamCreated = Schemas['StreamCreated'];
export type Session = Schemas['Session'];
export type Publish = Schemas['Publish'];
export type StreamKey = Schemas['StreamKey'];
export type SigningKey = Schemas['SigningKey'];
export type ApiKey = Schemas['ApiKey'];
export type Webhook = Schemas['Webhook'];
export type EventName = NonNullable<Schemas['CreateWebhook']['events']>[number];
export type Delivery = Schemas['Delivery'];
export type Node = Schemas['Node'];
export type AuditEntry = Schemas['AuditEntry'];
export type Tenant = Schemas['Tenant'];
export type Quotas = Schemas['Quotas'];
export type Usage = Schemas['Usage'];
export type User = Schemas['User'];
export type Me = Schemas['Me'];
export type Role = Schemas['Role'];
export type Policy = Schemas['Policy'];
export type Problem = Schemas['Problem'];

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Partial<Problem>,
    readonly retryAfterS: number | undefined,
  ) {
    super(problem.detail ?? problem.title ?? `HTTP ${status}`);
  }
}

let tenant: string | undefined;

/** Which tenant requests are for; undefined: the user's own, or the platform. */
export function actFor(id: string | undefined): void {
  tenant = id;
}

const headers: Middleware = {
  onRequest({ request, schemaPath }) {
    if (request.method !== 'GET') request.headers.set('Content-Type', 'application/json');
    if (tenant && schemaPath !== '/tenants') request.headers.set('Weir-Tenant', tenant);
    return request;
  },
};

export const api = createClient<paths>({ baseUrl: '/api/v1', credentials: 'same-origin' });
api.use(headers);

interface Answered<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data, or an `ApiError`. */
export async function ask<T>(call: Promise<Answered<T>>): Promise<T> {
  const { data, error, response } = await call;
  if (response.ok) return data as T;
  const wait = Number(response.headers.get('retry-after'));
  throw new ApiError(response.status, isProblem(error) ? error : {}, wait > 0 ? wait : undefined);
}

function isProblem(error: unknown): error is Problem {
  return typeof error === 'object' && error !== null && 'code' in error;
}

interface Page<T> {
  data: T[];
  next_cursor?: string | null;
}

/** Page after page, up to `most` rows. */
export async function all<T>(
  most: number,
  page: (cursor: string | undefined) => Promise<Page<T>>,
): Promise<T[]> {
  const rows: T[] = [];
  let cursor: string | undefined;
  do {
    const { data, next_cursor } = await page(cursor);
    rows.push(...data);
    cursor = next_cursor ?? undefined;
  } while (cursor && rows.length < most);
  return rows;
}
