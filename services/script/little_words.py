"""Words that carry little meaning of their own: they weigh little when phrases are compared."""

from services.script.text import normalize

_LITTLE_WORDS = """
    a an the is am are was were be been being do does did i im me my mine we us our you your
    it its this that there here he she they them of to in on at by for from with about as and
    or but so if then than please kindly um uh er hmm well like just would could should can
    will shall may might want wanna need know tell say get give have has had what whats which
    who whom how when some any very much too also let lets okay ok hello hi hey sir madam maam
    है हैं हूं हो था थे थी का के की को से में मे पर ने तो भी ही और या कि जो यह वह ये वे इस उस
    मुझे मुझको मेरा मेरी मेरे मैं हम हमें हमारा आप आपका आपकी आपके अपना अपनी अपने क्या कैसे कब कृपया
    प्लीज जरा ज़रा जी चाहिए चाहता चाहती चाहते हूँ करना करनी करने करें कर दीजिए दो दें बताइए बताओ
    बताएं बताना बता जानना जाननी रहा रही रहे गया गई एक कुछ अभी नमस्ते हेलो
    hai hain hu hoon tha the thi ka ke ki ko se mein main mujhe mera meri aap aapka kya kaise
    chahiye karna karni karo kar dijiye batao bataiye batana bhi toh aur
    आहे आहेत मला माझे माझा माझी तुमचे तुमचा आणि काय कसे करा करायचे हवे हवी पाहिजे सांगा कशी कसा
    আমি আমার আমাকে আপনি আপনার কি কী কে এর টা এবং চাই করতে বলুন জানতে দয়া করে আছে কেমন
    நான் எனக்கு என் உங்கள் என்ன எப்படி வேண்டும் சொல்லுங்கள் தயவு செய்து ஒரு உள்ளது உள்ளன இருக்கிறது இருக்கு பற்றி
    నేను నాకు నా మీ మీరు ఏమిటి ఎలా కావాలి చెప్పండి దయచేసి ఒక గురించి ఉంది ఉన్నాయి ఎంత
"""
LITTLE_WORDS = frozenset(normalize(word) for word in _LITTLE_WORDS.split())
