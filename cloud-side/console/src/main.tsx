import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { ApiProblem } from './api/problem';
import { App } from './app';
import './styles';
import { theme } from './theme';
import { WordsProvider } from './words/words';

const client = new QueryClient({
  defaultOptions: {
    queries: {
      // The next poll is the retry: a page should say at once that an answer is missing.
      retry: false,
      refetchOnWindowFocus: true,
      refetchIntervalInBackground: false,
      staleTime: 500,
      networkMode: 'always',
      throwOnError: (error) => !(error instanceof ApiProblem),
    },
    mutations: { retry: false, networkMode: 'always' },
  },
});

const root = document.getElementById('root');
if (!root) throw new Error('index.html has no root');

createRoot(root).render(
  <StrictMode>
    {/* Without inline styles: the server's policy allows none. */}
    <MantineProvider
      theme={theme}
      defaultColorScheme="auto"
      withCssVariables={false}
      withGlobalClasses={false}
      withStaticClasses={false}
      deduplicateCssVariables={false}
    >
      <WordsProvider>
        <QueryClientProvider client={client}>
          <App />
        </QueryClientProvider>
      </WordsProvider>
    </MantineProvider>
  </StrictMode>,
);
