-- Takes away all conversations.
DROP TABLE chat_approvals;
DROP TABLE chat_messages;
DROP TABLE chat_conversations;
