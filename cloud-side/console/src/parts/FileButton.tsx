/** Fetches a file with the token and hands it to the browser to keep: a plain link could not bring the token. */
import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { file } from '../api/client';
import { ProblemNotice } from './ProblemNotice';

interface Props {
  /** Under `/api/v1/`. */
  path: string;
  name: string;
  label: string;
}

export function FileButton({ path, name, label }: Props) {
  const fetching = useMutation({
    mutationFn: () => file(path),
    onSuccess: (blob) => {
      const address = URL.createObjectURL(blob);
      const link = document.createElement('a');
      link.href = address;
      link.download = name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    },
  });
  return (
    <>
      <Button
        size="compact-sm"
        variant="default"
        loading={fetching.isPending}
        onClick={() => fetching.mutate()}
      >
        {label}
      </Button>
      {fetching.error && <ProblemNotice error={fetching.error} compact />}
    </>
  );
}
