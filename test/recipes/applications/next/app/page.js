import { redirect } from 'next/navigation';
import { createElement as e } from 'react';

export const dynamic = 'force-dynamic';

async function submit() {
  'use server';
  redirect('/new');
}

export default function Page() {
  return e('form', { action: submit }, e('button', { type: 'submit' }, 'submit'));
}
