"""An agent of one's own for the bakery: a plain function of the conversation."""


def reply(messages):
    """Answer the last thing the customer said."""
    said = messages[-1]["content"].lower()
    if "order" in said and not any(c.isdigit() for c in said):
        return "Gladly. May I have your order number?"
    if "voucher" in said:
        return "I have put a voucher in the post. Is there anything else?"
    if any(c.isdigit() for c in said):
        return "I have your order here, and it is done as you wish. Is there anything else?"
    return "How can I help you with your order?"
