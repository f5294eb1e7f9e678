/** The signed document of a report, as docs/format/report.md draws it: what of it this console shows. */

export interface SignedReport {
  report: {
    id: string;
    installation: string;
    number: number;
    previous: string | null;
    made_at: string;
    report_version: number;
    content: ReportContent;
  };
  signature: { algorithm: string; key: string; value: string };
}

export interface ReportContent {
  subject: { kind: string; id: string; target: string };
  group: { id: string; name: string };
  point: { id: string; label: string | null; time: string | null; covers_until: string | null } | null;
  result: string;
  reason: string | null;
  interruption: { at: string; by: string; note: string | null } | null;
  requested_at: string;
  finished_at: string;
  timeline: { at: string; what: string; detail: string }[];
  phases: { name: string; outcome: string; began_ms: number; duration_ms: number; detail: string }[];
  recovery_time: { until: string; from_interruption_ms: number | null; from_request_ms: number | null };
  recovery_point: {
    this_point_ms: number | null;
    period: {
      from: string;
      to: string;
      worst_ms: number | null;
      p95_ms: number | null;
      blind_ms: number;
    } | null;
  };
  rungs: {
    name: string;
    verdict: string;
    at_ms: number | null;
    reason: string | null;
    observed: string | null;
  }[];
  evidence: { name: string; bytes: number; blake3: string }[];
  panel: { edition: string; replaced_by: string | null; level: number | null; lowered: unknown } | null;
}

/** The document, or null for a text that is none. */
export function readReport(text: string): SignedReport | null {
  try {
    const read = JSON.parse(text) as SignedReport;
    return typeof read.report?.number === 'number' && typeof read.signature?.value === 'string' ? read : null;
  } catch {
    return null;
  }
}
