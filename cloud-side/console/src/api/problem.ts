/** What went wrong with a request, as RFC 9457 tells it, or that nothing was heard at all. */
import type { Action, Problem } from './types';

export class ApiProblem extends Error {
  readonly problem: Problem | null;
  readonly kind: 'refused' | 'unheard' | 'unreadable';

  private constructor(kind: ApiProblem['kind'], problem: Problem | null, message: string) {
    super(message);
    this.name = 'ApiProblem';
    this.kind = kind;
    this.problem = problem;
  }

  static refused(problem: Problem) {
    return new ApiProblem('refused', problem, problem.detail);
  }

  /** No answer: whether the request was carried out is not known. */
  static unheard(cause: unknown) {
    return new ApiProblem('unheard', null, cause instanceof Error ? cause.message : String(cause));
  }

  /** An answer that is not the API's, as a proxy's error page. */
  static unreadable(status: number) {
    return new ApiProblem('unreadable', null, `HTTP ${status}`);
  }

  get code(): string | null {
    return this.problem?.code ?? null;
  }

  get status(): number | null {
    return this.problem?.status ?? null;
  }

  get allowedActions(): Action[] {
    return (this.problem?.allowed_actions as Action[] | null | undefined) ?? [];
  }
}

export function isProblem(value: unknown): value is Problem {
  if (typeof value !== 'object' || value === null) return false;
  const { code, detail, status, title } = value as Record<string, unknown>;
  return (
    typeof code === 'string' &&
    typeof detail === 'string' &&
    typeof title === 'string' &&
    typeof status === 'number'
  );
}
