/** The subject of a question to the workers of an instance, which says what form it and its answer have. */
export type QuestionSubject = 'explain' | 'statistics';
